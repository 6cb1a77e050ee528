"""Processes as the kernel shows them in /proc: whose child, whose installation, and their end.

`ringfence up` is the subreaper of all that it starts: what its parent abandons
becomes a child of `up`, so nothing can outlive it unseen. What it starts also
carries the var folder in its environment, so that the next `up` knows what a
killed one left behind.
"""

import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Callable, Iterable
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
# Two underscores after the prefix: not a setting (see settings/loading.py).
MARK = "RINGFENCE__VAR_FOLDER"
POLL_SECONDS = 0.02
ENDED = frozenset({"Z", "X", ""})

_PROC = Path("/proc")


def become_subreaper() -> None:
    """Makes this process the parent of its descendants that lose their own."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def descendants(of: int | None = None) -> set[int]:
    """All living processes below one: below this one, if none is named."""
    families = _families()
    found: set[int] = set()
    waiting = [of or os.getpid()]
    while waiting:
        below = families.get(waiting.pop(), set())
        found |= below
        waiting += below
    return found


def children(of: int) -> set[int]:
    """The living processes directly below one."""
    return _families().get(of, set())


def left_over(var_folder: Path) -> set[int]:
    """Processes that an earlier `up` of this var folder started, and that still live.

    Without PostgreSQL's: its own lock tells about those, better.
    """
    mark = f"{MARK}={var_folder}".encode(errors="surrogateescape")
    family = {os.getpid()} | _ancestors()
    marked = {pid for pid in visible_pids() if pid not in family and mark in _environment(pid)}
    return {pid for pid in alive(marked) if name(pid) != "postgres"}


def alive(pids: Iterable[int]) -> set[int]:
    """Those that have not ended."""
    return {pid for pid in pids if _state_and_parent(pid)[0] not in ENDED}


def command(pid: int) -> str:
    """The command line of a process, or its name where that is hidden or empty."""
    try:
        line = (
            (_PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        )
        return line or (_PROC / str(pid) / "comm").read_text(errors="replace").strip()
    except OSError:
        return "?"


def wait_until(done: Callable[[], bool], seconds_max: float) -> bool:
    """Waits for a condition; reaps what ends meanwhile. False if it did not come true in time."""
    deadline = time.monotonic() + seconds_max
    while not done():
        if time.monotonic() > deadline:
            return False
        reap()
        time.sleep(POLL_SECONDS)
    return True


def send(pids: Iterable[int], order: signal.Signals) -> None:
    """Sends a signal to each that is still there."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, order)


def reap() -> None:
    """Takes note of every child that has ended, so that none stays behind as a zombie."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0] != 0:
            pass


def _families() -> dict[int, set[int]]:
    """Who lives below whom, directly."""
    families: dict[int, set[int]] = {}
    for pid in visible_pids():
        state, parent = _state_and_parent(pid)
        if state not in ENDED:
            families.setdefault(parent, set()).add(pid)
    return families


def visible_pids() -> list[int]:
    """Every process that /proc shows to us."""
    return [int(name) for name in os.listdir(_PROC) if name.isdigit()]  # noqa: PTH208 a third of the time


def _state_and_parent(pid: int) -> tuple[str, int]:
    try:
        fields = (_PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
        return fields[0], int(fields[1])
    except (OSError, IndexError, ValueError):
        return "", 0  # it ended while we looked


def name(pid: int) -> str:
    try:
        return (_PROC / str(pid) / "comm").read_text(errors="replace").strip()
    except OSError:
        return ""


def _ancestors() -> set[int]:
    found: set[int] = set()
    pid = os.getppid()
    while pid > 0 and pid not in found:
        found.add(pid)
        pid = _state_and_parent(pid)[1]
    return found


def _environment(pid: int) -> list[bytes]:
    try:
        return (_PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        return []  # another user's, or gone
