"""The node's side of its guardian: starts it, arms it, and hears what ended.

May be called from the event loop and from the heartbeat's thread: each message
is one packet, which the kernel sends whole or not at all.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import structlog

from server.cluster import guardian as script
from server.cluster.guardian import PACKET_BYTES_MAX, PR_SET_CHILD_SUBREAPER, prctl

log = structlog.get_logger(__name__)

Told = Callable[[dict[str, Any]], None]


class GuardianGoneError(Exception):
    """The guardian can't be reached: it died, or does not read its socket."""


class Guardianship:
    """One guardian process and the socket to it. record: where it notes that it has killed the node.

    Raises OSError where no process can be started.
    """

    def __init__(self, lock_fd: int, record: Path | None = None) -> None:
        # If the guardian is killed, what its jobs had abandoned comes to us. What we
        # have as children before that is none of it.
        self._spared = frozenset(_children())
        prctl(PR_SET_CHILD_SUBREAPER, 1)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, contextlib.ExitStack() as if_it_fails:
            if_it_fails.push(ours)
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-I",
                    "-S",
                    str(Path(script.__file__)),
                    str(theirs.fileno()),
                    str(lock_fd),
                    str(os.getpid()),
                    *([] if record is None else [str(record)]),
                ],
                pass_fds=(theirs.fileno(), lock_fd),
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
            if_it_fails.pop_all()
        ours.setblocking(False)
        self.socket = ours
        self._serial = 0
        self._answered = 0
        self._changed = threading.Condition()

    @property
    def pid(self) -> int:
        """The guardian's process id."""
        return self.process.pid

    def arm(self, until: float, loop_jobs: int) -> int:
        """Allows runs until `until` (CLOCK_BOOTTIME, seconds); returns a serial to wait for.

        loop_jobs: how many runs live inside the node itself: then the node has
            to be killed with the jobs at the deadline.
        """
        with self._changed:
            self._serial += 1
            serial = self._serial
        self._send({"do": "arm", "until": until, "serial": serial, "loop_jobs": loop_jobs})
        return serial

    def disarm(self) -> None:
        """Nothing is held and nothing is being started."""
        self._send({"do": "disarm"})

    def start(self, run_id: int, argv: Sequence[str], fds: Sequence[int]) -> None:
        """Asks for a job; fds are the job's channel and its output."""
        self._send({"do": "start", "run": run_id, "argv": list(argv)}, fds)

    def limit(self, run_id: int, until: float, why: str, *, in_loop: bool) -> None:
        """A run may go on until `until` (CLOCK_BOOTTIME, seconds); a later call replaces an earlier one.

        Past it the job's process is killed, and its "ended" says `why`; if it has none
        but lives in the node's loop, the node is killed.
        """
        self._send({"do": "limit", "run": run_id, "until": until, "why": why, "in_loop": in_loop})

    def unlimit(self, run_id: int) -> None:
        """A run is over."""
        self._send({"do": "unlimit", "run": run_id})

    def kill(self, run_id: int) -> None:
        """Kills the job of one run; "ended" follows when all that it started is gone."""
        self._send({"do": "kill", "run": run_id})

    def kill_all(self) -> None:
        """Kills the jobs of all runs."""
        self._send({"do": "kill_all"})

    def end_strays(self) -> None:
        """Ends the processes that runs in the node's loop have started, against what they are told.

        A node has no children but its guardian. They are reaped by whoever waits for them.
        """
        for pid in _children():
            if pid != self.pid and pid not in self._spared:
                log.error("a run in the loop has left a process; it is killed", pid=pid)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def end_at_once(self) -> None:
        """Kills the guardian, and through the kernel its jobs; for one that does not obey.

        Its socket then tells the event loop, which reaps what is left and starts another.
        """
        self.process.kill()

    def receive(self, told: Told) -> None:
        """Passes every waiting message to `told`; GuardianGoneError at the end of them."""
        while True:
            try:
                data = self.socket.recv(PACKET_BYTES_MAX)
            except BlockingIOError:
                return
            except OSError as error:
                raise GuardianGoneError(str(error)) from error
            if not data:
                raise GuardianGoneError("it closed its socket")
            message = json.loads(data)
            if message["is"] == "armed":
                with self._changed:
                    self._answered = message["serial"]
                    self._changed.notify_all()
            told(message)

    @property
    def serials(self) -> tuple[int, int]:
        """The newest "arm" that was sent, and the newest that was confirmed."""
        with self._changed:
            return self._serial, self._answered

    def answered(self, serial: int) -> bool:
        """Whether the guardian has confirmed this "arm" or a later one."""
        with self._changed:
            return self._answered >= serial

    def end(self, patience_seconds: float = 5.0) -> None:
        """Ends the guardian and all that it or its jobs left; returns when everything is reaped.

        patience_seconds: how long it may take by itself before it is killed; a
        frozen one is given none. Blocks; call it in a thread.
        """
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)  # it then ends all descendants and itself
        try:
            self.process.wait(timeout=patience_seconds)
        except subprocess.TimeoutExpired:
            log.warning("guardian did not end in time and is killed", pid=self.pid)
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        self.socket.close()
        end_orphans(self._spared)

    def _send(self, message: dict[str, Any], fds: Sequence[int] = ()) -> None:
        try:
            socket.send_fds(self.socket, [json.dumps(message).encode()], fds)
        except OSError as error:
            raise GuardianGoneError(str(error)) from error


def end_orphans(spared: frozenset[int]) -> None:
    """Kills and reaps the children of this process; called when its guardian is gone.

    A node has no children but its guardian, so whatever came since was started by a
    job and abandoned, and fell to us as the nearest subreaper.

    spared: the pids of children that were there before the guardian.
    """
    while orphans := [pid for pid in _children() if pid not in spared]:
        for pid in orphans:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


def _children() -> list[int]:
    found: list[int] = []
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found += [int(word) for word in (task / "children").read_text(encoding="ascii").split()]
    return found
