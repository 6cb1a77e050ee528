"""Notices that the event loop is blocked, and by which job, while it is.

From a thread of its own, since a blocked loop can't tell: the loop counts, and a
count that stands still for a second is told once, with the stack of whoever holds
it up. A block that holds the GIL too stops this thread as well; then the stacks
that the guardian asks for before the end say it (guardian.py).

The thread counts its own looks and not the time, so that a process that was stopped
and goes on has not been blocked.
"""

import asyncio
import sys
import threading
import traceback
from collections.abc import Callable

import structlog

from server.cron.loop_job import LoopJob, job_of

LOOK_SECONDS = 0.25
LOOKS_MAX = 4  # that many without a sign of life are a block
FRAMES_MAX = 20
LOOP_FILES = ("asyncio/runners.py", "asyncio/base_events.py", "asyncio/events.py")

log = structlog.get_logger(__name__)


class LoopBlock(threading.Thread):
    """Watches the running loop while there are jobs in it."""

    def __init__(self, jobs: Callable[[], list[LoopJob]]) -> None:
        super().__init__(name="loop-block", daemon=True)
        self._jobs = jobs
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._counted = 0
        self._timer: asyncio.TimerHandle | None = None
        self._wanted = threading.Event()
        self._ended = False

    # What the loop calls.

    def watch(self) -> None:
        """There is a job in the loop."""
        if self._timer is None:
            self._count()
            self._wanted.set()

    def rest(self) -> None:
        """There is none any more."""
        self._counted += 1
        self._wanted.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def stop(self) -> None:
        """Ends the thread; does not wait."""
        self.rest()
        self._ended = True
        self._wanted.set()

    def _count(self) -> None:
        self._counted += 1
        self._timer = self._loop.call_later(LOOK_SECONDS, self._count)

    # The thread.

    def run(self) -> None:
        pause = threading.Event()
        seen, looks = 0, 0
        while not self._ended:
            if self._counted == seen:
                looks += 1
                if looks == LOOKS_MAX:
                    self._tell()
            else:
                if looks >= LOOKS_MAX:
                    log.warning("the event loop goes on", blocked_seconds=round(looks * LOOK_SECONDS, 1))
                seen, looks = self._counted, 0
                self._wanted.wait()
            pause.wait(LOOK_SECONDS)

    def _tell(self) -> None:
        job = job_of(asyncio.current_task(self._loop))
        stack = self._stack()
        if job is not None:
            log.error("a job blocks the event loop", task=job.spec.task, run=job.spec.run_id, stack=stack)
        else:
            # A callback belongs to no task: it is the node's own, or one of these jobs'.
            suspects = [f"run {one.spec.run_id} of {one.spec.task}" for one in self._jobs()]
            log.error("the event loop is blocked", suspects=suspects, stack=stack)

    def _stack(self) -> str:
        """Where the loop's thread is, as far as the loop called it."""
        frames = traceback.extract_stack(sys._current_frames().get(self._loop_thread))
        outer = [place for place, frame in enumerate(frames) if frame.filename.endswith(LOOP_FILES)]
        called = frames[outer[-1] + 1 if outer else 0 :]
        return "".join(traceback.format_list(called[-FRAMES_MAX:]))
