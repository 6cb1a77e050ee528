"""What a node and systemd tell each other: inherited sockets, readiness, and signs of life.

The protocols of sd_listen_fds(3) and sd_notify(3), which need no library: variables of the
environment, descriptors from 3 on, and datagrams of lines NAME=VALUE. Without systemd all
of it does nothing.

Signs of life
    WATCHDOG=1 is sent by a task of the event loop, three times in each WatchdogSec. A loop
    that is blocked sends none, and systemd ends the process and starts it again. A database
    that is away keeps no sign of life from being sent: a restart would mend nothing.
"""

import asyncio
import os
import socket
from collections.abc import MutableMapping

import structlog

LISTEN_FDS_START = 3
DESCRIPTORS_MAX = 64
SIGNS_EACH_LIMIT = 3
_LISTEN_VARIABLES = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")
_NOTIFY_VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")

log = structlog.get_logger(__name__)


def inherited_sockets(environ: MutableMapping[str, str]) -> list[socket.socket]:
    """The listening sockets that systemd opened for this very process; none without systemd.

    They are taken out of the environment and are not inherited by what this process starts.
    Descriptors that are no listening stream sockets are left alone.
    """
    given = {name: environ.pop(name, "") for name in _LISTEN_VARIABLES}
    if given["LISTEN_PID"] != str(os.getpid()) or not given["LISTEN_FDS"].isdigit():
        return []
    count = min(int(given["LISTEN_FDS"]), DESCRIPTORS_MAX)
    descriptors = range(LISTEN_FDS_START, LISTEN_FDS_START + count)
    return [sock for sock in map(listener_of, descriptors) if sock is not None]


def listener_of(descriptor: int) -> socket.socket | None:
    """The listening stream socket of a descriptor, which it owns from then on; None for anything else."""
    try:
        sock = socket.socket(fileno=descriptor)
    except OSError:
        return None  # closed, or no socket
    try:
        is_listener = bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    except OSError:
        is_listener = False
    if not is_listener or sock.type != socket.SOCK_STREAM:
        sock.detach()  # not ours to close
        return None
    os.set_inheritable(descriptor, False)
    sock.setblocking(False)
    return sock


class ServiceManager:
    """The systemd that started this process, or nobody.

    watchdog_seconds: how long it waits for a sign of life; None for ever.
    """

    def __init__(self, address: str, watchdog_seconds: float | None) -> None:
        self.watchdog_seconds = watchdog_seconds
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket: socket.socket | None = None
        if address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.setblocking(False)

    @classmethod
    def from_environment(cls, environ: MutableMapping[str, str]) -> "ServiceManager":
        """Reads the variables and takes them away, so that no job tells systemd anything by mistake."""
        given = {name: environ.pop(name, "") for name in _NOTIFY_VARIABLES}
        is_meant = given["WATCHDOG_PID"] in ("", str(os.getpid()))
        limit = int(given["WATCHDOG_USEC"]) if given["WATCHDOG_USEC"].isdigit() and is_meant else 0
        address = given["NOTIFY_SOCKET"]
        return cls(address if address[:1] in ("/", "@") else "", limit / 1e6 if limit else None)

    def ready(self, status: str) -> None:
        """It serves; systemd starts what waits for that."""
        self._tell(f"READY=1\nSTATUS={status}")

    def stopping(self, seconds_max: float) -> None:
        """It ends, within so long: the unit's own TimeoutStopSec does not cut a drain off."""
        self._tell(f"STOPPING=1\nSTATUS=draining\nEXTEND_TIMEOUT_USEC={int(seconds_max * 1e6)}")

    async def show_life(self) -> None:
        """Sends the signs of life until it is cancelled. Never ends by itself."""
        if self.watchdog_seconds is None:
            await asyncio.get_running_loop().create_future()
            return
        while True:
            self._tell("WATCHDOG=1")
            await asyncio.sleep(self.watchdog_seconds / SIGNS_EACH_LIMIT)

    def close(self) -> None:
        """Nothing more is told."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _tell(self, text: str) -> None:
        if self._socket is None:
            return
        try:
            self._socket.sendto(text.encode(), self._address)
        except OSError as error:
            # Told late or not at all: if it matters, systemd ends us, and this line says why.
            log.warning("systemd was not told", text=text, error=str(error))
