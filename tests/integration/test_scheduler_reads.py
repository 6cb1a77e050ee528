"""When a node reads the table of tasks: at once for what may be its own to act on, and else before it acts."""

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cluster_rows import Cluster
from structlog.testing import capture_logs

from server.cluster.lease import boot_time
from server.cluster.membership import Member
from server.cron import scheduler
from server.cron.catalogue import Catalogue
from server.cron.recorder import STATEMENTS
from server.cron.scheduler import Scheduler
from server.errors import DatabaseUnavailableError
from server.postgres.connections import Database
from server.settings import Settings, TaskSettings
from server.waking import GATHER_SECONDS

ME, OTHER = "node-1", "node-2"
TASKS = ("backup", "report", "sweep", "vacuum")
RUNNING = """insert into runs
    (task_name, node_name, incarnation, status, trigger, scheduled_for, started_at, attempt)
    values (%s, %s, 1, 'running', 'schedule', clock_timestamp(), clock_timestamp(), 1)"""


class CountingDatabase(Database):
    """The real one, which counts readings of the tasks, and fails to read them if a test wants it."""

    readings = 0
    failures_wanted = 0

    async def rows(self, statement, params=None, **how):
        if statement == STATEMENTS["tasks_view"] and self.failures_wanted:
            self.failures_wanted -= 1
            raise DatabaseUnavailableError("as wanted")
        found = await super().rows(statement, params, **how)
        if statement == STATEMENTS["tasks_view"]:
            self.readings += 1
        return found


@dataclass
class Standin:
    """As much of membership and runner as the scheduler asks."""

    members: tuple[Member, ...] = tuple(
        Member(name, 1, "live", frozenset(TASKS), 0.0) for name in (ME, OTHER)
    )
    name: str = ME
    quiet_since: float = 0.0
    is_settled: bool = True
    allows_start: bool = True
    started: list[str] = field(default_factory=list)

    def settled_at(self, joined_at: float) -> float:
        return joined_at

    async def start(self, seen, task, new_next) -> bool:
        self.started.append(seen.name)
        return True

    def stop(self, run_id, reason) -> None:
        pass


@dataclass
class Deciding:
    """A scheduler at work, and its tasks' rows."""

    scheduler: Scheduler
    database: CountingDatabase
    standin: Standin
    rows: Cluster

    def due(self, task: str, seconds: float) -> None:
        """Makes it due so many seconds from now; they may be negative."""
        self.rows.as_owner(
            "update tasks set next_run_at = clock_timestamp() + make_interval(secs => %s) where name = %s",
            seconds,
            task,
        )

    def tell(self, event: str, task: str) -> None:
        """What a node hears."""
        self.scheduler.heard(json.dumps({"id": 1, "event": event, "task": task, "run": 1, "node": OTHER}))

    def owned_by(self, node: str) -> list[str]:
        """Some tasks, which the hash decides."""
        return [task for task, owner in self.scheduler.owners.items() if owner == node]

    async def until_read(self, readings: int) -> None:
        """Returns when the tasks have been read so often."""
        async with asyncio.timeout(30):
            while self.database.readings < readings or self.scheduler._stale:
                await asyncio.sleep(0.01)


@asynccontextmanager
async def deciding(database, home: Path):
    """A scheduler whose tasks all rest, after its first look."""
    tasks = {name: TaskSettings(function="m:f", every=3600.0) for name in TASKS}
    settings = Settings(home=home, source="test", tasks=tasks)
    catalogue = Catalogue.from_settings(settings)
    reader = CountingDatabase(database.application_url, connections=1, name=ME)
    await reader.open()
    standin = Standin()
    one = Scheduler(settings, reader, catalogue, standin)
    await one.definitions.write()
    found = Deciding(one, reader, standin, Cluster(database))
    for task in TASKS:
        found.due(task, 3600)
    running = asyncio.create_task(one.run())
    one.begin(standin)
    try:
        await found.until_read(1)
        yield found
    finally:
        running.cancel()
        await asyncio.wait({running})
        found.rows.connection.close()
        await reader.close()


@pytest.mark.gen_test(timeout=60)
async def test_anothers_everyday_costs_no_reading_and_what_is_ones_own_costs_one(database, tmp_path):
    async with deciding(database, tmp_path) as found:
        before, began = found.database.readings, boot_time()
        for _ in range(20):
            for event in ("started", "succeeded"):
                found.tell(event, found.owned_by(OTHER)[0])
            await asyncio.sleep(2 * GATHER_SECONDS)  # or a crowd of them would be one reason to read
        found.tell("started", found.owned_by(ME)[0])
        await found.until_read(before + 1)
        # One for its own, and those that come every five seconds anyway.
        assert found.database.readings - before <= 1 + (boot_time() - began) // 5


@pytest.mark.gen_test(timeout=60)
@pytest.mark.parametrize("event", ["lost", "failed", "interrupted", "resumed", "redefined"])
async def test_what_anybody_may_have_to_act_on_is_read_at_once(database, tmp_path, event):
    async with deciding(database, tmp_path) as found:
        before = found.database.readings
        found.tell(event, found.owned_by(OTHER)[0])
        await found.until_read(before + 1)


@pytest.mark.gen_test(timeout=60)
async def test_before_it_starts_anothers_overdue_task_it_looks_whether_the_owner_has(database, tmp_path):
    async with deciding(database, tmp_path) as found:
        theirs = found.owned_by(OTHER)[0]
        found.due(theirs, -2)  # in a second it would be this node's to start
        before = found.database.readings
        found.scheduler.wake()
        await found.until_read(before + 1)
        found.due(theirs, 3600)  # as start_run() does
        found.tell("started", theirs)
        await found.until_read(before + 2)
        found.scheduler.wake()
        await found.until_read(before + 3)
        assert found.standin.started == []


@pytest.mark.gen_test(timeout=60)
async def test_an_overdue_task_that_its_owner_left_is_started_by_another(database, tmp_path):
    async with deciding(database, tmp_path) as found:
        theirs = found.owned_by(OTHER)[0]
        found.due(theirs, -2)
        found.scheduler.wake()
        found.tell("started", theirs)  # of the time before
        async with asyncio.timeout(30):
            while not found.standin.started:
                await asyncio.sleep(0.01)
        assert set(found.standin.started) == {theirs}


@pytest.mark.gen_test(timeout=60)
async def test_a_task_of_which_the_database_refuses_something_holds_up_no_other(database, tmp_path):
    async with deciding(database, tmp_path) as found:
        first, *_, last = sorted(found.owned_by(ME))
        found.rows.as_owner(RUNNING, first, ME)
        found.rows.as_owner("revoke execute on all functions in schema public from public, ringfence")
        with capture_logs() as log:
            for task in (first, last):
                found.due(task, -1)
            found.scheduler.wake()
            async with asyncio.timeout(30):
                while last not in found.standin.started:
                    await asyncio.sleep(0.01)
        assert first not in found.standin.started
        assert [line["task"] for line in log if "set aside" in line["event"]] == [first]


@pytest.mark.gen_test(timeout=60)
async def test_a_reading_that_failed_is_made_up_for(database, tmp_path, monkeypatch):
    monkeypatch.setattr(scheduler, "VIEW_SECONDS_MAX", 3600.0)  # or it would be read again anyway
    async with deciding(database, tmp_path) as found:
        before = found.database.readings
        found.database.failures_wanted = 1
        found.scheduler.wake()
        await found.until_read(before + 1)
        assert found.database.failures_wanted == 0
