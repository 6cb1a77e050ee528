"""supervisord as a child: started, asked, told to stop."""

import contextlib
import http.client
import signal
import subprocess
import sys
import xmlrpc.client
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from server.cli.configuration import Files, environment
from server.postgres import launch
from server.settings import Settings
from server.supervised import Transport

FAILING = frozenset({"BACKOFF", "EXITED", "FATAL"})


@dataclass(frozen=True)
class Program:
    """One program as supervisord sees it."""

    name: str
    state: str
    pid: int
    log: Path


class SupervisorSilentError(Exception):
    """supervisord does not answer: it has ended, is about to, or hangs."""


class Supervisor:
    """The supervisord of one var folder."""

    def __init__(self, settings: Settings, places: Files) -> None:
        self._settings = settings
        self._places = places
        self._process: subprocess.Popen[bytes] | None = None
        self._proxy = xmlrpc.client.ServerProxy("http://localhost", transport=Transport(str(places.socket)))

    def start(self) -> None:
        """Starts it in a session of its own, so that Ctrl-C reaches `up` alone.

        It gets SIGTERM, and so drains, when `up` ends without a word. Call it from
        the main thread: the kernel counts the thread that forks as the parent.
        """
        self._places.socket.unlink(missing_ok=True)
        as_child = [
            sys.executable,
            "-I",
            "-S",
            launch.__file__,
            "--death-signal",
            str(int(signal.SIGTERM)),
            "--",
        ]
        # UTF-8 whatever the locale: paths in its file may hold any letter.
        supervisord = [sys.executable, "-X", "utf8", "-P", "-m", "supervisor.supervisord"]
        with self._places.output.open("wb") as output:
            self._process = subprocess.Popen(
                [*as_child, *supervisord, "--nodaemon", "--silent", "-c", str(self._places.configuration)],
                cwd=self._settings.home,
                env=environment(self._settings),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Its pid; 0 before it was started."""
        return self._process.pid if self._process else 0

    def lives(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def last_words(self) -> str:
        """What it said, for a message when it ended by itself."""
        return tail(self._places.output) or tail(self._places.log)

    def programs(self) -> list[Program]:
        """Every program and its state. Raises SupervisorSilentError."""
        with _answering():
            answer = self._proxy.supervisor.getAllProcessInfo()
        assert isinstance(answer, list)
        return [
            Program(_of(one, "name"), _of(one, "statename"), int(_of(one, "pid")), Path(_of(one, "logfile")))
            for one in answer
        ]

    def stop_gently(self) -> None:
        """Begins to stop everything: the nodes drain, then PostgreSQL ends, then it itself."""
        self._shutdown()

    def stop_fast(self) -> None:
        """The same, and the nodes don't drain.

        TERM first, by supervisord, which thereby knows that they are to end and
        starts none again; INT right behind it makes them hurry.
        """
        with contextlib.suppress(SupervisorSilentError), _answering():
            self._proxy.supervisor.stopProcessGroup("node", False)
            self._proxy.supervisor.signalProcessGroup("node", "INT")
        self._shutdown()

    def stop_instance(self, name: str) -> None:
        """Begins to stop one instance, which drains. Raises SupervisorSilentError."""
        with _answering():
            self._proxy.supervisor.stopProcess(f"node:{name}", False)

    def start_instance(self, name: str) -> None:
        """Begins to start one instance. Raises SupervisorSilentError."""
        with _answering():
            self._proxy.supervisor.startProcess(f"node:{name}", False)

    def adopt(self) -> list[str]:
        """Lets the instances follow supervisord's file as it is now (see adoption.py).

        Answers those that it should have dropped and could not, since they run.
        Raises SupervisorSilentError.
        """
        with _answering():
            self._proxy.supervisor.reloadConfig()
            kept = self._proxy.ringfence.adopt("node")
        assert isinstance(kept, list)
        return [str(name) for name in kept]

    def _shutdown(self) -> None:
        try:
            with _answering():
                self._proxy.supervisor.shutdown()
        except SupervisorSilentError:
            # Its own signal handler does the same, within a second.
            if self._process is not None and self.lives():
                self._process.send_signal(signal.SIGTERM)


@contextlib.contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except (OSError, http.client.HTTPException, xmlrpc.client.Error) as error:
        raise SupervisorSilentError(str(error)) from None


def _of(answer: object, key: str) -> str:
    assert isinstance(answer, dict)
    return str(answer[key])


def tail(path: Path, lines: int = 8) -> str:
    """The last lines of a log, indented, for a message; empty if there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 16_384))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(f"    {line}" for line in text.splitlines()[-lines:])
