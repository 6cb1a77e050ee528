"""The scheduler: starts what is due and this node's to start, and sees each run to its end.

It decides on a view of the table of tasks that is read again on every change
and every few seconds; being wrong costs a refused start_run(), never a second
run. What other nodes start and end in the ordinary way only makes the view lag: it is
read before this node acts on a task of theirs (hearing.py). No leader, no traffic
between nodes.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

import psycopg
import structlog

from server.cluster.lease import boot_time
from server.cluster.membership import Membership
from server.cluster.ring import assign
from server.cron.catalogue import Catalogue, Task
from server.cron.claims import Standing, may_start_at
from server.cron.definitions import Definitions
from server.cron.figures import CronFigures
from server.cron.hearing import is_urgent
from server.cron.recorder import STATEMENTS
from server.cron.runner import START_SECONDS_MAX, Runner
from server.cron.schedule import Skip, Start, decide
from server.cron.view import TaskView, View, from_rows
from server.errors import DatabaseUnavailableError
from server.postgres.connections import Database
from server.postgres.faults import reason_of
from server.settings import Settings
from server.waking import Waker

VIEW_SECONDS_MAX = 5.0  # a lost notification costs at most this
RETRY_SECONDS = 1.0
REFUSED_SECONDS = 0.25  # after a refused start the view was old; asking at once might spin

log = structlog.get_logger(__name__)


class Scheduler:
    """The cron service's part on this node.

    owners: of each task, as the hash was last computed here. definitions: which tasks there are.
    """

    def __init__(
        self, settings: Settings, database: Database, catalogue: Catalogue, membership: Membership
    ) -> None:
        self._settings = settings
        self._database = database
        self._catalogue = catalogue
        self._membership = membership
        self._runner: Runner | None = None
        self._view: View | None = None
        self.definitions = Definitions(database, catalogue, settings.cluster.retire_seconds)
        self.figures = CronFigures()
        self.owners: Mapping[str, str] = {}
        self._waker = Waker()
        self._stale = True
        self._lags = False
        self._hashed: object = None  # of what the owners, and these, were computed
        self._own: frozenset[str] = frozenset()
        self._knowing: Mapping[str, Sequence[str]] = {}
        self._set_aside: dict[str, float] = {}  # task -> until when (CLOCK_BOOTTIME) nothing is tried
        self._settled = False
        self._draining = False

    # Life

    def begin(self, runner: Runner) -> None:
        """A new tenure: everything of the last one has ended."""
        self._runner = runner
        self._settled = False
        self.wake()

    @property
    def view(self) -> View | None:
        """The tasks as last read."""
        return self._view

    @property
    def runner(self) -> Runner | None:
        """Of the newest tenure."""
        return self._runner

    def wake(self) -> None:
        """Something changed: read the tasks again and decide anew."""
        self._stale = True
        self._waker.wake()

    def heard(self, payload: str) -> None:
        """Something was told about a task: decide anew, unless it is another node's everyday."""
        if is_urgent(payload, self._own if self._settled else None):
            self.wake()
        else:
            self._lags = True

    async def run(self) -> None:
        """Decides until it is cancelled."""
        while True:
            try:
                pause = await self._decide()
            except DatabaseUnavailableError as error:
                # Doubt closes: without an answer nothing starts.
                log.debug("the tasks could not be read", error=str(error))
                pause = RETRY_SECONDS
            except psycopg.Error:
                log.exception("the tasks could not be decided on")
                pause = VIEW_SECONDS_MAX
            await self._waker.rest(pause)

    async def sign(self) -> object:
        """Changes whenever a task or a node has changed: for one who can't hear notifications."""
        return await self._database.row(STATEMENTS["sign"])

    def drain(self) -> None:
        """Starts nothing any more; what runs goes on."""
        self._draining = True

    # Deciding

    async def _decide(self) -> float:
        """Starts what may be started now; returns the seconds until something may be due."""
        runner = self._runner
        if runner is None or not runner.allows_start or self._draining:
            return VIEW_SECONDS_MAX
        if not self._settled:
            if not self._membership.is_settled:
                return self._settings.cluster.settle_seconds / 10
            self._settled = True
        if self._stale or self._view is None or boot_time() - self._view.read_at > VIEW_SECONDS_MAX:
            await self._read_view()
        if self._view is None:
            return VIEW_SECONDS_MAX

        standing = self._standing()
        horizon = boot_time() + VIEW_SECONDS_MAX
        refused = False
        for seen in self._view.tasks.values():
            if seen.paused or seen.task is None:
                continue
            # A tick of a running task is skipped by whoever may start it.
            moment = seen.next_run_at if seen.running_id is not None else seen.earliest
            out_of_turn = seen.is_out_of_turn(self._view.now())
            due = self._view.on_own_clock(moment)
            start_at = may_start_at(seen.name, due, standing, out_of_turn=out_of_turn, until=horizon)
            if start_at is None:
                continue
            start_at = max(start_at, self._set_aside.get(seen.name, start_at))
            if start_at > boot_time():
                horizon = min(horizon, start_at)
            elif self._lags and standing.owners.get(seen.name) != standing.me:
                self._stale = True  # its owner may have started it long ago
            else:
                refused = not await self._try(runner, seen, seen.task) or refused
        if refused:
            return REFUSED_SECONDS
        return 0.0 if self._stale else max(0.0, horizon - boot_time())

    async def _read_view(self) -> None:
        self._stale = self._lags = False
        try:
            rows = await self._database.rows(STATEMENTS["tasks_view"], deadline_seconds=START_SECONDS_MAX)
        except BaseException:
            self._stale = True  # whoever woke this has not been served
            raise
        self._view = from_rows(rows, self._catalogue, boot_time())
        for row in rows:
            if row.cancel_requested and self._runner is not None:
                self._runner.stop(row.running_id, "cancelled")
        known = frozenset[str]().union(*(member.tasks for member in self._membership.members))
        self._stale = await self.definitions.look_after(rows, known) or self._stale

    def _standing(self) -> Standing:
        """Hashes the tasks to the live members, as last read."""
        assert self._view is not None, "there is a view when there is something to decide"
        live = {m.name: m for m in self._membership.members if m.state == "live"}
        able = {name: member.tasks for name, member in live.items()}
        # Anew only when something changed: it takes a tenth of a second for 200 tasks on 200 nodes.
        hashed = (tuple(self._view.tasks), able)
        if hashed != self._hashed:
            self.owners, self._hashed = assign(self._view.tasks, able), hashed
            self._own = frozenset(
                task for task, owner in self.owners.items() if owner == self._membership.name
            )
            self._knowing = {
                task: [name for name, known in able.items() if task in known] for task in self._view.tasks
            }
        return Standing(
            me=self._membership.name,
            owners=self.owners,
            knowing=self._knowing,
            quiet_since=self._membership.quiet_since,
            settled_at={name: self._membership.settled_at(member.joined_at) for name, member in live.items()},
        )

    async def _try(self, runner: Runner, seen: TaskView, task: Task) -> bool:
        """As _act(). What the database refuses of one task, or whose row somebody holds, stops no other."""
        try:
            return await self._act(runner, seen, task)
        except (DatabaseUnavailableError, psycopg.Error) as error:
            # An outage is told by the pulse, and may be over in a moment; a refusal lasts.
            is_unforeseen = isinstance(error, psycopg.Error)
            self._set_aside[seen.name] = boot_time() + (VIEW_SECONDS_MAX if is_unforeseen else RETRY_SECONDS)
            tell = log.error if is_unforeseen else log.info
            tell("a task is set aside for a moment", task=seen.name, error=reason_of(error))
            return True

    async def _act(self, runner: Runner, seen: TaskView, task: Task) -> bool:
        """Starts the task or skips its tick, whichever the schedule says; False if a start was refused."""
        assert self._view is not None, "a task is only seen in a view"
        now = self._view.now()
        if seen.running_id is None and seen.due_at is not None and seen.due_at <= now:
            return await self._start(runner, seen, task, seen.next_run_at)

        match decide(task.schedule, seen.next_run_at, now, seen.running_since, task.policy):
            case Start(new_next):
                return await self._start(runner, seen, task, new_next)
            case Skip() as skip:
                await self._skip(seen, skip)
        return True

    async def _start(self, runner: Runner, seen: TaskView, task: Task, new_next: datetime) -> bool:
        assert self._view is not None, "a task is only seen in a view"
        self._stale = True
        started = await runner.start(seen, task, new_next)
        if started is None:
            return False
        late_seconds = (self._view.now() - started.scheduled_for).total_seconds()
        self.figures.began(task.name, started.trigger, late_seconds)
        return True

    async def _skip(self, seen: TaskView, skip: Skip) -> None:
        params = {
            "task": seen.name,
            "expected_next": seen.next_run_at,
            "new_next": skip.new_next,
            "reason": skip.reason,
            "ticks": skip.ticks,
        }
        self._stale = True
        row = await self._database.row(STATEMENTS["skip_tick"], params, deadline_seconds=START_SECONDS_MAX)
        if row.skipped:
            self.figures.skipped[seen.name, skip.kind] += skip.ticks
            log.info("tick skipped", task=seen.name, ticks=skip.ticks, reason=skip.reason)
