"""Plays systemd for one instance: a listening socket as descriptor 3, and a socket that hears what it tells."""

import socket
import subprocess
import sys
import time
from pathlib import Path

# The pid is known only to the process itself, which then becomes the program: as systemd does it.
BECOME = (
    "import os, sys\n"
    "os.environ['LISTEN_PID'] = str(os.getpid())\n"
    "os.dup2(int(sys.argv[1]), 3, inheritable=True)\n"
    "os.execv(sys.executable, [sys.executable, *sys.argv[2:]])\n"
)


class PlayedSystemd:
    """One unit with its socket. told: every message so far, each as its lines, with the moment it came."""

    def __init__(self, folder: Path) -> None:
        self.told: list[tuple[float, dict[str, str]]] = []
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(128)
        self.port: int = self.listener.getsockname()[1]
        self.process: subprocess.Popen[bytes] | None = None
        self._path = str(folder / "notify")
        self._hearing = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._hearing.bind(self._path)

    def start(self, *arguments: str, watchdog_seconds: float, environment: dict[str, str], log: Path) -> None:
        """Starts `python -m server …`."""
        environment = environment | {
            "LISTEN_FDS": "1",
            "LISTEN_FDNAMES": "ringfence.socket",
            "NOTIFY_SOCKET": self._path,
            "WATCHDOG_USEC": str(int(watchdog_seconds * 1e6)),
        }
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-I",
                    "-S",
                    "-c",
                    BECOME,
                    str(self.listener.fileno()),
                    "-m",
                    "server",
                    *arguments,
                ],
                env=environment,
                cwd=log.parent,
                pass_fds=[self.listener.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    def hear(self, seconds_max: float) -> dict[str, str]:
        """The next message; AssertionError if none comes in time."""
        self._hearing.settimeout(max(0.01, seconds_max))
        try:
            lines = self._hearing.recv(4096).decode().splitlines()
        except TimeoutError:
            raise AssertionError(f"nothing told within {seconds_max:g} s") from None
        message = dict(line.split("=", 1) for line in lines)
        self.told.append((time.monotonic(), message))
        return message

    def hear_until(self, name: str, seconds_max: float = 60.0) -> dict[str, str]:
        """The next message with a line of this name."""
        deadline = time.monotonic() + seconds_max
        while name not in (message := self.hear(deadline - time.monotonic())):
            pass
        return message

    def close(self) -> None:
        """Ends what is left."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._hearing.close()
        self.listener.close()
        Path(self._path).unlink()
