"""What ran, what runs, and what will: the tasks and their runs, for those who ask.

Everything comes from rows that were read just now; durations and moments are
the database's, so every node gives the same answer.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from msgspec import UNSET, Raw, Struct, UnsetType, structs

from server.cluster.roster import read_owners
from server.cron import history_queries
from server.errors import RunNotFoundError, TaskNotFoundError
from server.postgres.connections import Database
from server.postgres.sessions import Row
from server.postgres.statements import load

STATUSES = ("running", "succeeded", "failed", "cancelled", "timed_out", "interrupted", "lost")
_STATEMENTS = load("server.cron", "history.sql")


class Run(Struct, frozen=True, rename="camel"):
    """One execution of a task, in the shape in which it is sent.

    lateness_seconds: how long after the time for which it was due it started.
    duration_seconds: null while it runs. predecessor: the run that this one
    repeats; successor: the one that repeats this one.
    """

    id: int
    task: str
    node: str
    status: str
    trigger: str
    scheduled_for: str
    started_at: str
    finished_at: str | None
    duration_seconds: float | None
    lateness_seconds: float
    attempt: int
    progress: Raw | None
    result: Raw | None
    error: str | None
    predecessor: int | None
    successor: int | None


class RunInFull(Run, frozen=True, rename="camel"):
    """A run with what it printed last."""

    output: str | None


class Running(Struct, frozen=True, rename="camel"):
    """The execution of a task that is under way. pid: of the node that holds it."""

    run_id: int
    node: str
    host: str | None
    pid: int | None
    started_at: str
    elapsed_seconds: float
    progress: Raw | None


class LastSkip(Struct, frozen=True, rename="camel"):
    """When and why ticks of a task were skipped last."""

    at: str
    reason: str | None


class TaskState(Struct, frozen=True, rename="camel"):
    """A task and how it stands.

    next_run_at: its schedule's next time; null while it is paused or retired.
    owner: who should run it; null when no living node knows it.
    skipped_ticks: how many times of its schedule were skipped so far.
    retired_at: since when no configuration names it; null while one does.
    durations: how many seconds its last runs took, the oldest first; only where asked for.
    """

    name: str
    function: str
    schedule: str
    paused: bool
    owner: str | None
    next_run_at: str | None
    running: Running | None
    last_run: Run | None
    skipped_ticks: int
    last_skip: LastSkip | None
    retired_at: str | None
    durations: list[float] | UnsetType = UNSET


@dataclass(frozen=True)
class RunFilter:
    """Which runs to list; None means any. since and until bound started_at: since <= t < until.

    before_at, before_id: start and id of the last run of the page before; both or none.
    """

    task: str | None = None
    node: str | None = None
    status: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    before_at: datetime | None = None
    before_id: int | None = None

    def given(self) -> dict[str, Any]:
        """The conditions that are set, by name."""
        return {name: value for name, value in vars(self).items() if value is not None}


async def read_tasks(database: Database, durations: int | None = None) -> list[TaskState]:
    """All tasks by name. durations: of how many of its last runs each tells them; None leaves them out.

    Raises DatabaseUnavailableError.
    """
    rows = await database.rows(history_queries.tasks_query())
    owners = await read_owners(database)
    found = [_task(row, owners) for row in rows]
    if durations is None:
        return found
    lists = await database.rows(_STATEMENTS["durations"], {"limit": durations})
    by_task = {row.task: row.durations for row in lists}
    return [structs.replace(task, durations=by_task.get(task.name, [])) for task in found]


async def read_task(database: Database, name: str) -> TaskState:
    """One task. Raises TaskNotFoundError, DatabaseUnavailableError."""
    rows = await database.rows(history_queries.task_query(), {"name": name})
    if not rows:
        raise TaskNotFoundError(f"There is no task {name}.")
    return _task(rows[0], await read_owners(database))


async def read_runs(database: Database, wanted: RunFilter, limit: int) -> tuple[list[Run], bool]:
    """Runs, the newest first by their start, and whether older ones follow.

    Raises DatabaseUnavailableError.
    """
    given = wanted.given()
    # One more than asked for tells whether another page follows.
    rows = await database.rows(history_queries.runs_query(frozenset(given)), given | {"limit": limit + 1})
    return [Run(**_members(row)) for row in rows[:limit]], len(rows) > limit


async def read_run(database: Database, run_id: int) -> RunInFull:
    """One run with its output. Raises RunNotFoundError, DatabaseUnavailableError."""
    rows = await database.rows(history_queries.run_query(), {"id": run_id})
    if not rows:
        raise RunNotFoundError(f"There is no run {run_id}.")
    return RunInFull(**_members(rows[0]), output=rows[0].output)


def _members(row: Row, prefix: str = "") -> dict[str, Any]:
    """The members of a Run from the columns of a row, whose names may carry a prefix."""
    found = {name: getattr(row, prefix + name) for name in Run.__struct_fields__}
    return found | {"progress": _raw(found["progress"]), "result": _raw(found["result"])}


def _raw(text: str | None) -> Raw | None:
    """JSON as the database holds it, to be sent without being read."""
    return None if text is None else Raw(text.encode())


def _task(row: Row, owners: Mapping[str, str]) -> TaskState:
    running = None
    if row.running_id is not None:
        running = Running(
            run_id=row.running_id,
            node=row.running_node,
            host=row.host,
            pid=row.pid,
            started_at=row.running_started_at,
            elapsed_seconds=row.elapsed_seconds,
            progress=_raw(row.running_progress),
        )
    return TaskState(
        name=row.name,
        function=row.function,
        schedule=row.schedule,
        paused=row.paused,
        owner=owners.get(row.name),
        next_run_at=row.next_run_at,
        running=running,
        last_run=None if row.last_id is None else Run(**_members(row, "last_")),
        skipped_ticks=row.skipped_ticks,
        last_skip=None if row.skipped_at is None else LastSkip(row.skipped_at, row.skipped_reason),
        retired_at=row.retired_at,
    )
