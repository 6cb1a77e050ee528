"""The runner: starts runs under a tenure, and sees each to its recorded end.

A run is held from the moment its start is confirmed until its ending is told.
What the database believes and what is held are compared at every heartbeat:
a run that was taken away is killed, and a ghost (recorded as ours, held by
nobody, since the answer to its start was lost) is ended.
"""

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import psycopg
import structlog

from server import tracing
from server.cluster.heartbeat import Beat
from server.cluster.lease import boot_time
from server.cluster.tenure import Tenure
from server.cron import scratch
from server.cron.catalogue import Task
from server.cron.context import RunSpec
from server.cron.executor import Executor
from server.cron.figures import CronFigures
from server.cron.loop_jobs import LoopJobs
from server.cron.outcome import Outcome, Reason
from server.cron.recorder import PROGRESS_SECONDS, STATEMENTS, Recorder
from server.cron.schedule import retry_delay_seconds
from server.cron.view import TaskView
from server.errors import DatabaseUnavailableError
from server.postgres.connections import Database
from server.postgres.faults import ONE_RUNNING_RUN_PER_TASK, constraint_of
from server.postgres.sessions import Row
from server.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.trace import Span

START_SECONDS_MAX = 5.0
RETRY_SECONDS_MAX = 600.0

log = structlog.get_logger(__name__)


class Started(NamedTuple):
    """What the database said of a run that it let begin."""

    run_id: int
    trigger: str
    scheduled_for: datetime


class Runner:
    """All runs of one tenure."""

    def __init__(
        self, settings: Settings, url: str, database: Database, tenure: Tenure, figures: CronFigures
    ) -> None:
        self._home = settings.home
        self._var = settings.var_folder
        self._url = url
        self._database = database
        self._tenure = tenure
        self._recorder = Recorder(database)
        self._executor = Executor(tenure, self._recorder.progressed)
        self._loop_jobs = LoopJobs(tenure, self._recorder.progressed)
        self._figures = figures
        self._confirmed_at: dict[int, float] = {}  # run -> own clock
        self._tasks: dict[int, str] = {}  # run -> task, of those that began here
        self._starting = 0
        self._last_start_at = 0.0
        self._following: set[asyncio.Task[None]] = set()
        self._progress = asyncio.create_task(self._write_progress())

    @property
    def allows_start(self) -> bool:
        """Whether a run may begin now."""
        return self._tenure.allows_start

    @property
    def held(self) -> frozenset[int]:
        """The runs that this node answers for, those whose ending is being told included."""
        return frozenset(self._confirmed_at)

    def stop(self, run_id: int, reason: Reason) -> None:
        """Ends a run, if it is here; see Executor.stop()."""
        self._executor.stop(run_id, reason)
        self._loop_jobs.stop(run_id, reason)

    def stop_all(self, reason: Reason) -> None:
        """Ends every run of this node."""
        self._executor.stop_all(reason)
        self._loop_jobs.stop_all(reason)

    def abandon_all(self, why: str) -> None:
        """All processes of all runs are gone, and nobody told how they ended.

        Those in the loop live on; nobody would have ended them meanwhile, so they stop, too.
        """
        self._executor.abandon_all(why)
        self._loop_jobs.stop_all("interrupted")

    def told_by_guardian(self, message: dict[str, Any]) -> None:
        """Passes the guardian's word to the executor."""
        self._executor.told(message)

    async def all_ended(self) -> None:
        """Returns when no run is held and every ending was told."""
        while self._following:
            await asyncio.wait(self._following)

    def end(self) -> None:
        """No run is left; stops what serves them all."""
        self._progress.cancel()
        self._loop_jobs.end()

    def running(self) -> list[tuple[str, float]]:
        """The task of each run that began here, and for how many seconds it has been held."""
        now = boot_time()
        return [(task, now - self._confirmed_at.get(run_id, now)) for run_id, task in self._tasks.items()]

    async def start(self, seen: TaskView, task: Task, new_next: datetime) -> Started | None:
        """Starts a task if the database agrees; does not wait for its end. None: refused.

        new_next: the task's next time if this start consumes the tick in `seen`.
        """
        tenure = self._tenure
        in_loop = task.settings.isolation == "loop"
        # The guardian is armed before the run exists: a node that freezes right
        # after the commit is then killed in time.
        if not await tenure.hold(in_loop=in_loop):
            log.warning("not started: the guardian did not answer", task=seen.name)
            self._figures.refused["no_guardian"] += 1
            return None
        asked_at_ns = tracing.now_ns()
        try:
            row, refusal = await self._ask_to_start(seen, new_next)
        except BaseException:
            # Nobody would let go of it, and a lease that ends ends a node that holds something.
            tenure.release(in_loop=in_loop)
            raise
        if row is None:
            log.debug("not started", task=seen.name, reason=refusal)
            self._figures.refused[refusal] += 1
            tenure.release(in_loop=in_loop)
            return None
        run_id = row.run_id
        self._confirmed_at[run_id] = boot_time()
        self._tasks[run_id] = task.name
        log.info("run started", task=seen.name, run=run_id, trigger=row.trigger)
        span = None
        if tracing.tracer is not None:
            # A view that is older than the start may tell of another request, or of none.
            parent = seen.due_trace if row.trigger == "manual" else None
            span = tracing.begin_run(task.name, run_id, row.trigger, asked_at_ns, parent)
        following = asyncio.create_task(self._see_to_the_end(run_id, task, row.attempt, span))
        self._following.add(following)
        following.add_done_callback(self._following.discard)
        return Started(run_id, row.trigger, row.scheduled_for)

    async def _ask_to_start(self, seen: TaskView, new_next: datetime) -> tuple[Row | None, str]:
        """What the database says of a run that may begin; or why none may, as a word."""
        self._starting += 1
        try:
            row = await self._database.row(
                STATEMENTS["start_run"],
                {
                    "task": seen.name,
                    "node": self._tenure.name,
                    "incarnation": self._tenure.incarnation,
                    "expected_next": seen.next_run_at,
                    "new_next": new_next,
                },
                # A second start after a lost answer is refused, and the first would be
                # nobody's; a heartbeat finds it and ends it.
                repeatable=False,
                deadline_seconds=START_SECONDS_MAX,
            )
        except psycopg.Error as error:
            if constraint_of(error) != ONE_RUNNING_RUN_PER_TASK:
                raise
            return None, "already_running"
        except DatabaseUnavailableError as error:
            log.info("a start has no answer", task=seen.name, error=str(error))
            return None, "no_answer"
        finally:
            self._starting -= 1
            self._last_start_at = boot_time()
        return (None, row.reason) if row.run_id is None else (row, "")

    async def _see_to_the_end(self, run_id: int, task: Task, attempt: int, span: "Span | None") -> None:
        settings = task.settings
        status = "lost"
        try:
            try:
                outcome = await self._launch(
                    run_id, task, tracing.traceparent(span) if span is not None else None
                )
            except OSError as error:
                outcome = Outcome("failed", error=f"the job could not be started: {error}")
            self._tenure.release(in_loop=settings.isolation == "loop")
            if outcome.status == "lost":
                log.warning("run lost", task=task.name, run=run_id)
                return
            retry = None
            if outcome.status in {"failed", "timed_out"} and attempt <= settings.retries:
                base = settings.retry_after_seconds
                retry = retry_delay_seconds(attempt, base, max(base, RETRY_SECONDS_MAX), str(run_id))
            answer = await self._recorder.finish(self._tenure, run_id, outcome, retry)
            status = outcome.status if answer != "lost" else answer
            log.info("run ended", task=task.name, run=run_id, status=outcome.status, answer=answer)
        finally:
            began_at = self._confirmed_at.pop(run_id)
            self._tasks.pop(run_id)
            self._figures.finished(task.name, status, boot_time() - began_at)
            if span is not None:
                tracing.end_run(span, status)

    def _launch(self, run_id: int, task: Task, traceparent: str | None) -> "asyncio.Future[Outcome]":
        spec = RunSpec(
            run_id=run_id,
            task=task.name,
            node=self._tenure.name,
            function=task.settings.function,
            # As JSON, which a process gets as well, and a copy, so that no run changes the next one's.
            params=task.definition["params"],
            var=str(self._var),
            scratch=str(scratch.folder_of(self._var, self._tenure.name, run_id)),
            database_url=self._url,
            memory_bytes_max=task.settings.memory_bytes_max,
            traceparent=traceparent,
            home=str(self._home),
        )
        executor = self._loop_jobs if task.settings.isolation == "loop" else self._executor
        return executor.start(spec, task.settings.timeout_seconds).done

    async def _write_progress(self) -> None:
        while True:
            await asyncio.sleep(PROGRESS_SECONDS)
            for run_id in await self._recorder.write_progress(self._tenure):
                self.stop(run_id, "lost")

    def beaten(self, beat: Beat) -> None:
        """Compares what the database believes that we run with what we do run."""
        for run_id in beat.cancels & self.held:
            self.stop(run_id, "cancelled")
        for run_id, started_at in self._confirmed_at.items():
            lives = run_id in self._executor.jobs or run_id in self._loop_jobs.jobs
            if started_at < beat.sent_at and run_id not in beat.runs and lives:
                log.error("a run was taken away; it is stopped", run=run_id)
                self.stop(run_id, "lost")
        # The answer to a start may have been lost. Such a ghost would be renewed for
        # ever. One whose start was under way when the beat was sent may be no ghost.
        if self._starting == 0 and self._last_start_at < beat.sent_at:
            for run_id in beat.runs - self.held:
                self._end_ghost(run_id)

    def _end_ghost(self, run_id: int) -> None:
        log.warning("a run is recorded as ours that we don't hold; it is ended", run=run_id)
        self._confirmed_at[run_id] = boot_time()
        outcome = Outcome("interrupted", error="the answer to its start was lost, so it never began")

        async def finish() -> None:
            try:
                await self._recorder.finish(self._tenure, run_id, outcome)
            finally:
                self._confirmed_at.pop(run_id, None)

        ending = asyncio.create_task(finish())
        self._following.add(ending)
        ending.add_done_callback(self._following.discard)
