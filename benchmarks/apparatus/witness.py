"""The job of failover.py, the same for everybody, and the witness it writes to.

The witness is a file that is only appended to, and shares nothing with any
scheduler. Each line is a single write by the process that does the work, with
CLOCK_MONOTONIC, which all processes of a machine have in common and nobody can
set. So a job that was killed has no end, and one that was frozen has a gap.

Imports the standard library alone: the workers of every contestant import it.
"""

import asyncio
import json
import os
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from server.cron.context import AsyncContext

TASKS = tuple(f"task_{number:02}" for number in range(1, 11))
PERIOD_SECONDS = 20
JOB_SECONDS = 5.0
TICK_SECONDS = 0.05

WITNESS = "witness.jsonl"
ORDER = "block"
FOLDER_VARIABLE = "FAILOVER_FOLDER"
WORKER_VARIABLE = "FAILOVER_WORKER"


class Testimony:
    """The lines of one execution of a task."""

    def __init__(self, folder: Path, task: str, worker: str) -> None:
        self._about = {"task": task, "run": uuid.uuid4().hex, "worker": worker, "pid": os.getpid()}
        self._file = os.open(folder / WITNESS, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def say(self, event: str) -> None:
        """One line, in one write, so that lines of several processes don't mix."""
        line = self._about | {"event": event, "at": time.clock_gettime(time.CLOCK_MONOTONIC)}
        os.write(self._file, json.dumps(line).encode() + b"\n")

    def close(self) -> None:
        """Nothing is said after it."""
        os.close(self._file)


async def work(task: str, worker: str, folder: str) -> None:
    """Some seconds of work that sleeps between its signs of life.

    Whoever finds an order to block takes it and blocks its thread first, as a
    coroutine does that calls something which is none.
    """
    testimony = Testimony(Path(folder), task, worker)
    try:
        testimony.say("start")
        blocking_seconds = _take_order(Path(folder))
        if blocking_seconds:
            testimony.say("blocked")
        blocked_until = time.monotonic() + blocking_seconds
        while time.monotonic() < blocked_until:
            time.sleep(TICK_SECONDS)
            testimony.say("tick")
        # By steps and not by the clock: work that a frozen process missed is still to be done.
        for _ in range(round(JOB_SECONDS / TICK_SECONDS)):
            await asyncio.sleep(TICK_SECONDS)
            testimony.say("tick")
        testimony.say("end")
    finally:
        testimony.close()


async def work_here(task: str) -> None:
    """The same for a worker that its environment tells its name and the folder."""
    await work(task, os.environ[WORKER_VARIABLE], os.environ[FOLDER_VARIABLE])


async def ringfence_job(context: "AsyncContext", folder: str) -> None:
    """The same as a task of Ringfence."""
    await work(context.task, context.node, folder)


def announce() -> None:
    """Says that this worker is about to take jobs."""
    testimony = Testimony(Path(os.environ[FOLDER_VARIABLE]), "", os.environ[WORKER_VARIABLE])
    testimony.say("ready")
    testimony.close()


def _take_order(folder: Path) -> float:
    """How long to block; 0 unless there is an order. A rename lets one job take it."""
    taken = folder / f"{ORDER}-{uuid.uuid4().hex}"
    try:
        (folder / ORDER).rename(taken)
    except FileNotFoundError:
        return 0.0
    return float(taken.read_text(encoding="utf-8"))
