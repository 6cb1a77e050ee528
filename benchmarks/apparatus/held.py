"""Processes to be signalled, held so that no signal ever meets a stranger.

A pid is given away again once its process is gone, and what is frozen here may
be killed by its own guardian meanwhile. A descriptor of the process is not.
"""

import contextlib
import os
import signal
from collections.abc import Iterable
from pathlib import Path


class Held:
    """Some processes, in an order."""

    def __init__(self, pids: Iterable[int]) -> None:
        self._descriptors: list[int] = []
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):  # it has just ended
                self._descriptors.append(os.pidfd_open(pid))

    def __enter__(self) -> "Held":
        return self

    def __exit__(self, *_: object) -> None:
        for descriptor in self._descriptors:
            os.close(descriptor)

    def send(self, number: signal.Signals, last_first: bool = False) -> None:
        """Sends a signal to each that still lives, in the order of the start or the other way round."""
        for descriptor in reversed(self._descriptors) if last_first else self._descriptors:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(descriptor, number)


def family(pid: int) -> list[int]:
    """A process and all that descends from it, parents before children."""
    found = [pid]
    for parent in found:
        found += _children(parent)
    return found


def _children(pid: int) -> list[int]:
    """Of every thread: a child belongs to the thread that started it."""
    numbers: list[int] = []
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
        for task in Path(f"/proc/{pid}/task").iterdir():
            numbers += map(int, (task / "children").read_text().split())
    return sorted(numbers)
