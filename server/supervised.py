"""What a node and the supervisord above it expect of each other: the time to stop, and a refusal.

supervisord kills a program `stopwaitsecs` after it told it to stop. A node that
drains for longer is cut off in the middle: its runs are lost instead of
finished or interrupted. `ringfence up` writes that time from the settings; a
supervisord with a file of its own has it in two places, which must agree.
"""

import contextlib
import http.client
import math
import socket
import time
import xmlrpc.client
from collections.abc import Iterator, Mapping
from typing import Any

import structlog

from server.errors import ConfigurationError
from server.settings import INSTANCES_VARIABLE, Settings

ANSWER_SECONDS_MAX = 3.0
# After the drain a node still has to write down what it interrupted, and to leave.
BEYOND_DRAIN_SECONDS = 10
# Longer than startsecs of supervisord.conf: what ends sooner is started again, whatever its exit code.
REFUSAL_SECONDS = 3.0
UNIX = "unix://"

log = structlog.get_logger(__name__)


@contextlib.contextmanager
def refusing_for_good(environ: Mapping[str, str]) -> Iterator[None]:
    """Below supervisord a configuration that can't be used is refused once, and not in a circle."""
    try:
        yield
    except ConfigurationError:
        if "SUPERVISOR_ENABLED" in environ:
            time.sleep(REFUSAL_SECONDS)
        raise


class _Connection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=ANSWER_SECONDS_MAX)
        self._path = path

    def connect(self) -> None:
        connecting = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connecting.settimeout(ANSWER_SECONDS_MAX)
        try:
            connecting.connect(self._path)
        except OSError:
            connecting.close()
            raise
        self.sock = connecting


class Transport(xmlrpc.client.Transport):
    """XML-RPC over supervisord's Unix socket, or over TCP where no path is given; each answer within 3 s."""

    def __init__(self, path: str | None) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        if self._path is None:
            return http.client.HTTPConnection(host, timeout=ANSWER_SECONDS_MAX)
        return _Connection(self._path)


def stop_seconds(settings: Settings) -> int:
    """How long a node may take to stop, from the signal on."""
    return math.ceil(settings.cluster.drain_seconds) + BEYOND_DRAIN_SECONDS


def granted_stop_seconds(environ: Mapping[str, str]) -> float | None:
    """How long the supervisord that started this process waits for its end; None without one.

    Also None, and a line in the log, if it can't be asked: that is no reason not to serve.
    """
    url = environ.get("SUPERVISOR_SERVER_URL")
    if "SUPERVISOR_ENABLED" not in environ or not url:
        return None
    is_unix = url.startswith(UNIX)
    transport = Transport(url.removeprefix(UNIX) if is_unix else None)
    address = "http://localhost" if is_unix else url
    own = (environ.get("SUPERVISOR_GROUP_NAME"), environ.get("SUPERVISOR_PROCESS_NAME"))
    try:
        with xmlrpc.client.ServerProxy(address, transport=transport) as supervisord:
            programs: Any = supervisord.supervisor.getAllConfigInfo()
    except (OSError, http.client.HTTPException, xmlrpc.client.Error) as error:
        log.warning("supervisord was not asked for its stopwaitsecs", url=url, error=str(error))
        return None
    return next((float(one["stopwaitsecs"]) for one in programs if (one["group"], one["name"]) == own), None)


def fit_drain(settings: Settings, environ: Mapping[str, str]) -> Settings:
    """The settings with a drain that supervisord waits for.

    Raises ConfigurationError if its file does not fit the settings. One that
    `ringfence up` wrote fits, unless the settings changed since: then the drain
    is as long as it was, until `ringfence restart` has told supervisord.
    """
    granted, needed = granted_stop_seconds(environ), stop_seconds(settings)
    if granted is None or granted >= needed:
        return settings
    drain_seconds = max(0.0, granted - BEYOND_DRAIN_SECONDS)
    if INSTANCES_VARIABLE not in environ:
        raise ConfigurationError(
            f"supervisord kills this node {granted:g} s after it told it to stop (stopwaitsecs), but with "
            f"cluster.drain_seconds of {settings.cluster.drain_seconds:g} it may take {needed} s: set "
            f"stopwaitsecs={needed} or more in supervisord's file, or cluster.drain_seconds to "
            f"{drain_seconds:g} or less in {settings.source}"
        )
    log.warning(
        "supervisord does not know the new cluster.drain_seconds yet: run `ringfence restart`",
        wanted_seconds=settings.cluster.drain_seconds,
        drain_seconds=drain_seconds,
    )
    cluster = settings.cluster.model_copy(update={"drain_seconds": drain_seconds})
    return settings.model_copy(update={"cluster": cluster})
