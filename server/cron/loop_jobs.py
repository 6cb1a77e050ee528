"""Runs jobs in the node's own event loop: coroutines that wait more than they work.

Cheap, since they cost no process; dangerous, since they can only be asked to end.
The guardian holds a deadline for each (deadlines.py), past which it ends the node:
a grace after the timeout, or after the job was asked to stop. So a job must pass
its CancelledError on, and must not work long between two awaits.

A run is over when its coroutine has ended and so have all tasks that it started.
"""

import asyncio
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import structlog

from server.cluster.deadlines import GRACE_SECONDS
from server.cluster.tenure import Tenure
from server.cron.catalogue import Catalogue
from server.cron.context import AsyncContext, RunSpec
from server.cron.functions import PlainFunctionError, resolve_coroutine
from server.cron.loop_block import LoopBlock
from server.cron.loop_job import LoopJob, divide_standard_streams, job_of, start_task
from server.cron.outcome import CANCELLED, Outcome, Reason, judge, raised, returned
from server.errors import ConfigurationError

log = structlog.get_logger(__name__)


def refuse_plain_functions(catalogue: Catalogue, source: str) -> None:
    """ConfigurationError names the tasks of the loop whose functions would block it from end to end.

    A module that can't be imported now is left to its run, which says why.
    """
    faults = []
    for task in catalogue.tasks.values():
        if task.settings.isolation != "loop":
            continue
        try:
            resolve_coroutine(task.settings.function)
        except PlainFunctionError as error:
            faults.append(f"{source}: tasks.{task.name}: {error}")
        except Exception as error:
            # Whatever a module raises: it may be mended before the task is due.
            log.warning("a task's function can't be found", task=task.name, error=repr(error))
    if faults:
        raise ConfigurationError("\n".join(faults))


class LoopJobs:
    """All jobs in the loop of one tenure."""

    def __init__(self, tenure: Tenure, progressed: Callable[[int, dict[str, Any]], None]) -> None:
        self._tenure = tenure
        self._progressed = progressed
        self._loop = asyncio.get_running_loop()
        self._block = LoopBlock(lambda: list(self.jobs.values()))
        self.jobs: dict[int, LoopJob] = {}

    def start(self, spec: RunSpec, timeout_seconds: float) -> LoopJob:
        """Starts a job; its `done` gets the outcome when nothing of it is left.

        The guardian must be armed for it (Tenure.hold()). Raises OSError if this
        node has no room for it.
        """
        Path(spec.scratch).mkdir(parents=True, mode=0o700)
        job = LoopJob(spec, self._progressed, self._loop.create_future())
        if not self._tenure.deadlines.begin(spec.run_id, timeout_seconds, in_loop=True):
            job.done.set_result(Outcome("interrupted", error="the guardian was gone before the job began"))
            return job
        self.jobs[spec.run_id] = job
        self._watch_for_blocks()
        divide_standard_streams()
        job.task = start_task(job, _perform(job))
        job.task.add_done_callback(lambda _: self._settle(job))
        job.timers.append(self._loop.call_later(timeout_seconds, self.stop, spec.run_id, "timed_out"))
        return job

    def stop(self, run_id: int, reason: Reason) -> None:
        """Asks a job to end; the guardian ends the node if it does not.

        The first reason counts, except that a lost run stays lost.
        """
        job = self.jobs.get(run_id)
        if job is None:
            return
        was_asked = job.reason is not None
        if reason == "lost" or not was_asked:
            job.reason = reason
        if was_asked:
            return
        self._tenure.deadlines.hurry(run_id, reason)
        log.info("a job in the loop is asked to stop", task=job.spec.task, run=run_id, reason=reason)
        job.cancelled.set()
        assert job.task is not None, "a job has its task from start() on"
        job.task.cancel()
        job.timers.append(self._loop.call_later(GRACE_SECONDS / 2, self._warn, job))

    def stop_all(self, reason: Reason) -> None:
        """Asks every job to end; see stop()."""
        for run_id in list(self.jobs):
            self.stop(run_id, reason)

    def end(self) -> None:
        """No job is left, and none follows."""
        self._block.stop()

    def _watch_for_blocks(self) -> None:
        if self._block.ident is None:
            self._block.start()
        self._block.watch()

    def _warn(self, job: LoopJob) -> None:
        log.error(
            "a job in the loop does not stop; its node is about to be killed for it",
            task=job.spec.task,
            run=job.spec.run_id,
            reason=job.reason,
        )

    def _settle(self, job: LoopJob) -> None:
        """The coroutine has ended: what it left behind is ended too, and then the run is over."""
        if job.spec.run_id not in self.jobs:
            return
        left = {task for task in asyncio.all_tasks(self._loop) if job_of(task) is job}
        if not left:
            self._close(job)
            return
        self._tenure.deadlines.hurry(job.spec.run_id, "interrupted")
        for task in left - job.ending:
            job.ending.add(task)
            task.add_done_callback(lambda _: self._settle(job))
            task.cancel()

    def _close(self, job: LoopJob) -> None:
        del self.jobs[job.spec.run_id]
        for timer in job.timers:
            timer.cancel()
        if not self.jobs:
            self._block.rest()
        self._tenure.guardian.end_strays()
        self._tenure.deadlines.end(job.spec.run_id)
        self._loop.run_in_executor(None, lambda: shutil.rmtree(job.spec.scratch, ignore_errors=True))
        assert job.task is not None, "a job has its task from start() on"
        # Cancelled before its first step it has told nothing.
        told = CANCELLED if job.task.cancelled() else job.task.result()
        job.done.set_result(judge(job.reason, told, job.output.text, "the job told no outcome"))


async def _perform(job: LoopJob) -> Mapping[str, Any]:
    try:
        function = resolve_coroutine(job.spec.function)
        return returned(await function(AsyncContext(job.spec, job), **job.spec.params))
    except asyncio.CancelledError:
        return CANCELLED
    except BaseException:
        # Also SystemExit and KeyboardInterrupt, which would end the node.
        return raised()
