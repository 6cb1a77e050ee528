"""Processes that the benchmark starts, and their end: by pid, however the benchmark itself ends.

Each child lives in a session of its own, so that Ctrl-C reaches the benchmark
alone, which then ends the children in the reverse order of their start; and the
kernel sends each a signal should the benchmark be killed. Start them from the
main thread: the kernel counts the thread that forks as the parent.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from server.postgres import launch

POLL_SECONDS = 0.02


class BenchmarkError(Exception):
    """The benchmark can't go on; its text says why, and what to do."""


@dataclass(frozen=True)
class Program:
    """What to start, where, and how it is ended.

    stdin: a file or socket that it inherits as descriptor 0.
    seconds_max: how long it may take to end before it is killed.
    """

    argv: Sequence[str]
    folder: Path
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    stdin: IO[bytes] | int | None = None
    end_signal: signal.Signals = signal.SIGTERM
    seconds_max: float = 10.0


class Children:
    """All living children; a context that ends them."""

    def __init__(self) -> None:
        self._living: list[tuple[subprocess.Popen[bytes], Program]] = []

    def __enter__(self) -> "Children":
        return self

    def __exit__(self, *_: object) -> None:
        while self._living:
            self.end(self._living[-1][0])

    def start(self, program: Program) -> "subprocess.Popen[bytes]":
        """Starts a program; its output goes to its log."""
        program.log.parent.mkdir(parents=True, exist_ok=True)
        as_child = [sys.executable, "-I", "-S", launch.__file__]
        as_child += ["--death-signal", str(int(program.end_signal)), "--parent", str(os.getpid()), "--"]
        with program.log.open("wb") as output:
            process = subprocess.Popen(
                [*as_child, *program.argv],
                cwd=program.folder,
                env=clean_environment() | dict(program.environment),
                stdin=subprocess.DEVNULL if program.stdin is None else program.stdin,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self._living.append((process, program))
        return process

    def end(self, *processes: "subprocess.Popen[bytes]") -> None:
        """Tells them to end, all at once, waits, and kills what takes too long."""
        ending = [pair for pair in self._living if pair[0] in processes]
        for process, program in ending:
            process.send_signal(program.end_signal)
        for process, program in ending:
            try:
                process.wait(program.seconds_max)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            self._living.remove((process, program))


def clean_environment() -> dict[str, str]:
    """The environment without the settings of whoever runs this."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("RINGFENCE_", "PG"))}


def wait_until_listed(log: Path, words: str, process: "subprocess.Popen[bytes]", seconds_max: float) -> None:
    """Waits until a log contains the words. Raises BenchmarkError if its process ends, or takes too long."""
    deadline = time.monotonic() + seconds_max
    while words not in (text := log.read_text(encoding="utf-8", errors="replace")):
        if process.poll() is not None or time.monotonic() > deadline:
            how = "took too long" if process.returncode is None else f"ended with {process.returncode}"
            raise BenchmarkError(f"{log} lacks {words!r}, its process {how}:\n{text[-2000:]}")
        time.sleep(POLL_SECONDS)
