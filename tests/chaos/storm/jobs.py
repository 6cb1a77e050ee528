"""The jobs of the storm, and the witness: what they did, where the product never looks.

Each job writes its start, its ticks and its end to one append-only file (O_APPEND: the
kernel keeps lines whole and in order), with CLOCK_MONOTONIC times, which are the same
for all processes of a host. And it holds a lock of its task's while it lives: the
kernel lets go of it when the last instruction has been executed, so whoever finds it
held at its start knows of an overlap that no tick could show.

Ticks prove that the process executed at that moment. Half of the jobs also write to
PostgreSQL under guard(), again and again, and go on if that is refused: a job that
does not behave, so that only the database can keep its writes out.
"""

import asyncio
import contextlib
import fcntl
import json
import os
import threading
import time
from pathlib import Path
from typing import Any

from server.cron.context import JobCancelled

TICK_SECONDS = 0.05
GUARDED_SECONDS = 0.4


class Testimony:
    """One job's pen."""

    def __init__(self, path: str, context: Any) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        self._who = {"task": context.task, "run": context.run_id, "node": context.node, "pid": os.getpid()}
        self._begin(Path(path).with_suffix(".locks") / context.task)

    def _begin(self, lock: Path) -> None:
        fd = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.tell("start", held_by=int(os.pread(fd, 20, 0) or 0))
            return
        self.tell("start")
        os.ftruncate(fd, 0)
        os.pwrite(fd, str(self._who["run"]).encode(), 0)

    def tell(self, event: str, **more: Any) -> None:
        line = self._who | {"event": event, "at": time.monotonic()} | more
        os.write(self._fd, json.dumps(line).encode() + b"\n")

    def result(self) -> dict[str, Any]:
        """What the run's result must be, whoever records it."""
        return {"run": self._who["run"], "pid": self._who["pid"], "node": self._who["node"]}


def work(context: Any, path: str, seconds: float, guarded: bool = False) -> dict[str, Any]:
    """Ticks for some seconds; an ordinary function.

    It counts ticks and not time, so that one that was frozen has its work still before it.
    """
    testimony = Testimony(path, context)
    if guarded:
        threading.Thread(target=_write_guarded, args=(context, testimony), daemon=True).start()
    ticks = round(seconds / TICK_SECONDS)
    try:
        for tick in range(ticks):
            context.progress(tick, ticks, "working")
            context.sleep(TICK_SECONDS)
            testimony.tell("tick")
    except JobCancelled:
        testimony.tell("stopped")
        raise
    testimony.tell("end")
    return testimony.result()


async def work_async(context: Any, path: str, seconds: float) -> dict[str, Any]:
    """The same as a coroutine."""
    testimony = Testimony(path, context)
    try:
        for _ in range(round(seconds / TICK_SECONDS)):
            await context.sleep(TICK_SECONDS)
            testimony.tell("tick")
    except asyncio.CancelledError:
        testimony.tell("stopped")
        raise
    testimony.tell("end")
    return testimony.result()


def _write_guarded(context: Any, testimony: Testimony) -> None:
    import psycopg  # here, since the other half of the jobs starts in less time without it

    from server.errors import RunLostError

    serial = 0
    while True:
        with contextlib.suppress(psycopg.Error), context.connect() as connection:
            connection.autocommit = True
            while True:
                serial += 1
                try:
                    with connection.transaction():
                        context.guard(connection)
                        connection.execute(
                            "insert into storm_writes (run_id, task, serial) values (%s, %s, %s)",
                            (context.run_id, context.task, serial),
                        )
                except RunLostError:
                    testimony.tell("refused", serial=serial)
                else:
                    testimony.tell("guarded", serial=serial)
                time.sleep(GUARDED_SECONDS)
        # The connection is lost: cut, or the database is away.
        time.sleep(GUARDED_SECONDS)
