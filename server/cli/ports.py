"""Whether the ports are free, and if not, who has them and which setting to change."""

import contextlib
import errno
import os
import socket
from dataclasses import dataclass
from pathlib import Path

from server.cli import processes
from server.errors import ConfigurationError
from server.settings import Settings

LISTEN_STATE = "0A"


@dataclass(frozen=True)
class Port:
    """A port that is needed, and what decides which one it is."""

    host: str
    number: int
    setting: str


def needed(settings: Settings) -> list[Port]:
    """The public port and each instance's own."""
    host, port = settings.http.host, settings.http.port
    own = [
        Port(host, settings.node_port(number), f"node-{number}'s own, http.port + {number}")
        for number in range(1, settings.cluster.instances + 1)
    ]
    return [Port(host, port, "the public one, http.port"), *own]


def taken(ports: list[Port]) -> list[Port]:
    """Those that can't be listened on. Raises ConfigurationError for an address that isn't ours."""
    return [port for port in ports if not _is_free(port)]


def describe(ports: list[Port], settings: Settings) -> str:
    """A message that names each taken port, its holder and the setting."""
    lines = [f"port {port.number} ({port.setting}) is taken{_holder(port.number)}" for port in ports]
    change = f"Stop what holds it, or set http.port in {settings.source} (RINGFENCE_HTTP__PORT) to another."
    return "\n".join([*lines, change])


def _is_free(port: Port) -> bool:
    if port.number > 65535:
        raise ConfigurationError(f"http.port: {port.setting} would be port {port.number}, above 65535")
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as trial:
        # As supervisord and the nodes do: old connections that linger don't matter.
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((port.host, port.number))
            trial.listen()  # two may bind with SO_REUSEADDR as long as none listens
        except PermissionError:
            raise ConfigurationError(
                f"http.port: {port.number} ({port.setting}): this user may not listen on it"
            ) from None
        except socket.gaierror as error:
            raise ConfigurationError(
                f"http.host: {port.host!r}: {error.strerror}; expected an IPv4 address"
            ) from None
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise ConfigurationError(f"http.host: {port.host!r}: {error.strerror}") from None
            return False
    return True


def _holder(number: int) -> str:
    inodes = _listening_inodes(number)
    for pid in processes.visible_pids():
        if inodes & _socket_inodes(pid):
            return f" by pid {pid} ({processes.command(pid)[:100]})"
    return ""


def _listening_inodes(number: int) -> set[str]:
    found = set()
    for table in ("tcp", "tcp6"):
        try:
            lines = Path("/proc/net", table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue  # no IPv6 here, or no right to look: the message does without the holder
        for line in lines:
            fields = line.split()
            if fields[3] == LISTEN_STATE and int(fields[1].rpartition(":")[2], 16) == number:
                found.add(f"socket:[{fields[9]}]")
    return found


def _socket_inodes(pid: int) -> set[str]:
    folder, found = f"/proc/{pid}/fd", set()
    with contextlib.suppress(OSError):  # another user's, or it has ended
        for name in os.listdir(folder):  # noqa: PTH208 there may be thousands
            with contextlib.suppress(OSError):  # it has just closed this one
                found.add(os.readlink(f"{folder}/{name}"))  # noqa: PTH115 see above
    return found
