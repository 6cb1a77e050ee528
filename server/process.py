"""What one server process needs of its operating system: logs, limits, signals, sockets."""

import asyncio
import contextlib
import ctypes
import faulthandler
import gc
import os
import resource
import signal
import socket
import stat
from collections.abc import Callable
from time import monotonic

import structlog
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from server import tracing
from server.errors import ConfigurationError
from server.logs import configure_logs
from server.service_manager import inherited_sockets, listener_of
from server.settings import INSTANCES_VARIABLE, Settings

OPEN_FILES_WANTED = 65_536
GARBAGE_THRESHOLDS = (20_000, 50, 50)
IDLE_SECONDS = 2.0
PR_SET_PDEATHSIG = 1
M_TRIM_THRESHOLD = -1  # of malloc.h
TRIM_BYTES = 1 << 20

log = structlog.get_logger(__name__)


def prepare(settings: Settings, name: str) -> None:
    """Prepares this process to be a node; called once, before the event loop."""
    configure_logs(settings.logging.level, settings.logging.format, node=name)
    raise_open_files_limit()
    traces = settings.var_folder / "log" / f"{name}.traces"
    traces.parent.mkdir(parents=True, exist_ok=True)
    # A regular file: the guardian asks for the stack of a node that may be stuck in a write
    # to a full pipe. Of the main thread alone, which hears the signal and is the one that
    # hangs: the frames of threads that run on change while they are read, which ends in SIGSEGV.
    faulthandler.register(signal.SIGUSR2, file=traces.open("a"), all_threads=False)
    tracing.configure(settings.telemetry.otlp_endpoint, name)
    if "SUPERVISOR_ENABLED" in os.environ:
        # Without supervisord nobody would restart us, nor stop us: then we drain.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    collect_garbage_rarely()
    give_memory_back()


def give_memory_back() -> None:
    """Lets the C library return what is free above a megabyte to the system.

    By itself it learns from each large block to keep the next ones: forty bodies of two
    megabytes at one moment stayed with the node for good. Naming a threshold ends the learning.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # the GNU library has it, musl does not
    if mallopt is not None:
        mallopt(M_TRIM_THRESHOLD, TRIM_BYTES)


def collect_garbage_rarely() -> None:
    """Leaves what is loaded by now out of every collection, and lets more objects come before each.

    A thousand requests in flight are tens of thousands of living objects, which each
    collection looks through in vain: with Python's own thresholds that is a tenth of a
    node's time in a burst. Cycles are few here; reference counts free the rest.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE_THRESHOLDS)


def siblings(settings: Settings) -> int:
    """How many instances were started together with this one, itself included.

    supervisord says how many it starts, which `ringfence scale` changes; with a file of
    its own it starts all that are configured, and so does systemd. One started by hand knows
    of no other.
    """
    if "SUPERVISOR_ENABLED" not in os.environ and "NOTIFY_SOCKET" not in os.environ:
        return 1
    return int(os.environ.get(INSTANCES_VARIABLE, settings.cluster.instances))


def raise_open_files_limit() -> int:
    """Raises the limit of open files as far as may be; returns it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES_WANTED if hard == resource.RLIM_INFINITY else min(OPEN_FILES_WANTED, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's event loop where it is installed: a tenth less time a request; else asyncio's own."""
    try:
        from uvloop import new_event_loop  # noqa: PLC0415 not on every platform
    except ImportError:
        return None
    return new_event_loop


def listening_sockets(settings: Settings, number: int) -> list[socket.socket]:
    """The node's own port, and the public one.

    systemd hands the public socket as descriptor 3, supervisord as 0. Started by hand, a node
    takes the public port itself if nobody else has it.
    """
    sockets = _bind(settings, settings.node_port(number), f"node {number}'s own port")
    inherited = inherited_sockets(os.environ) or _socket_of_supervisord()
    if inherited:
        return [*sockets, *inherited]
    try:
        return [*sockets, *_bind(settings, settings.http.port, "http.port")]
    except ConfigurationError as error:
        log.warning("the public port is served by another process", reason=str(error))
        return sockets


def _bind(settings: Settings, port: int, what: str) -> list[socket.socket]:
    try:
        return bind_sockets(port, settings.http.host, backlog=settings.http.backlog)
    except OSError as error:
        raise ConfigurationError(
            f"{what}, {settings.http.host}:{port}, cannot be listened on: {error.strerror}; "
            f"free it or set http.port (node N listens on http.port + N)"
        ) from error


def _socket_of_supervisord() -> list[socket.socket]:
    if not stat.S_ISSOCK(os.fstat(0).st_mode):
        return []
    descriptor = os.dup(0)
    sock = listener_of(descriptor)
    if sock is None:
        os.close(descriptor)
        return []
    # Whoever inherits our descriptor 0 must not inherit the public socket.
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    return [sock]


async def drain_connections(http: HTTPServer, close_idle: Callable[[float], None], seconds: float) -> None:
    """Waits until no request is in flight, `seconds` at most, then closes what is left.

    A connection that carries requests is told to close by its next answer; one that has
    been silent for IDLE_SECONDS will hardly carry another, and is closed.
    """
    deadline = monotonic() + seconds
    while http._connections and monotonic() < deadline:
        close_idle(IDLE_SECONDS)
        await asyncio.sleep(0.05)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(1):
            await http.close_all_connections()
