"""One job in the node's loop, and how to tell what is its own.

A context variable says which job the present code belongs to. Tasks inherit it
from whoever starts them; so what they print goes to the run of that job, and those
that it leaves behind are found.

Not found: a callback of the bare loop, a thread, a process. A job in the loop starts
none of these.
"""

import asyncio
import gc
import sys
import threading
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass, field
from typing import Any, TextIO, cast

from server import tracing
from server.cron.context import RunSpec
from server.cron.outcome import Outcome, Output, Reason

Task = asyncio.Task[Any]


@dataclass(eq=False)
class LoopJob:
    """One run while its coroutine, or a task that it started, lives. It is its context's link, too."""

    spec: RunSpec
    progressed: Callable[[int, dict[str, Any]], None]
    done: "asyncio.Future[Outcome]"
    output: Output = field(default_factory=Output)
    cancelled: threading.Event = field(default_factory=threading.Event)
    reason: Reason | None = None
    task: Task | None = None
    ending: set[Task] = field(default_factory=set)
    timers: list[asyncio.TimerHandle] = field(default_factory=list)

    def progress(self, report: dict[str, Any]) -> None:
        """Passes on how far the job is."""
        self.progressed(self.spec.run_id, report)


_current: ContextVar[LoopJob | None] = ContextVar("current_loop_job", default=None)


def start_task(job: LoopJob, work: Coroutine[Any, Any, Any]) -> Task:
    """A task that belongs to the job, as does all that it starts."""

    def start() -> Task:
        _current.set(job)
        if job.spec.traceparent is not None:
            tracing.enter(job.spec.traceparent)
        return asyncio.create_task(work, name=f"run {job.spec.run_id} of {job.spec.task}")

    return copy_context().run(start)


def job_of(task: Task | None) -> LoopJob | None:
    """The job that a task belongs to; may be asked from any thread."""
    if task is None:
        return None
    if sys.version_info >= (3, 12):
        context = task.get_context()
    else:
        # Before 3.12 a task does not show its context; the first that it refers to is its own.
        context = next((found for found in gc.get_referents(task) if isinstance(found, Context)), None)
    return None if context is None else context.get(_current)


class _Divided:
    """A standard stream that keeps what jobs in the loop write; all else goes where it went."""

    def __init__(self, usual: TextIO) -> None:
        self._usual = usual

    def write(self, text: str) -> int:
        job = _current.get()
        if job is None:
            return self._usual.write(text)
        job.output.add(text.encode("utf-8", "backslashreplace"))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._usual, name)


def divide_standard_streams() -> None:
    """From now on what a job in the loop prints is its run's output."""
    if not isinstance(sys.stdout, _Divided):
        sys.stdout = cast(TextIO, _Divided(sys.stdout))
        sys.stderr = cast(TextIO, _Divided(sys.stderr))
