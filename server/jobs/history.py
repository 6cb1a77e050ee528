"""Deletes what is older or more than its retention, in small batches: history, audit, idempotency keys.

Each batch is one statement and so one transaction: it holds locks and writes
write-ahead log for `rows_max` rows and no more. Never the ledger.

Not fenced by the run's id, on purpose: deleting what is too old is right whoever does
it, and the functions pass by what another has locked. So a statement may also be
repeated after a lost connection.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from server.jobs.pace import MINIMUM_SECONDS, STEPS_MIN, AsyncPace
from server.jobs.retention import DAY_SECONDS, HOUR_SECONDS, STATUSES, Retention
from server.jobs.session import Session
from server.postgres.statements import load

if TYPE_CHECKING:
    from server.cron.context import AsyncContext

ROWS_MAX_MAX = 10_000
LOOKS = STEPS_MIN

SQL = load("server.jobs", "history.sql")


class Piece(NamedTuple):
    """One statement that deletes a batch. what: the member of the result that counts it."""

    what: str
    statement: str
    params: dict[str, Any]


async def prune_history(
    context: AsyncContext,
    minimum_seconds: float = MINIMUM_SECONDS,
    rows_max: int = 500,
    **keep: Any,
) -> dict[str, Any]:
    """Deletes until nothing is left that is to go, and then what grows old while it looks.

    keep: see Retention. Each task's history is cut to its number once in a run of this job.
    rows_max: the most rows of each kind that one batch deletes.
    """
    retention = Retention.of(keep)
    if not 1 <= rows_max <= ROWS_MAX_MAX:
        raise ValueError(f"rows_max must be from 1 to {ROWS_MAX_MAX}")
    pace = AsyncPace(context, minimum_seconds)
    deleted = dict.fromkeys(("runs", "runsBeyondCount", "events", "nodes", "audit", "keys"), 0)
    batches = 0
    async with Session(context, read_only=False) as session:
        tasks = [row.name for row in await session.rows(SQL["tasks"])]
        for look in range(LOOKS):
            for piece in (*by_age(retention, rows_max), *by_count(retention, rows_max, tasks[look::LOOKS])):
                # A backlog is not spread over the looks: only rests keep it from being
                # deleted at full speed, so that it ends however large it is.
                more = True
                while more:
                    rows = (await session.row(SQL[piece.statement], piece.params)).deleted
                    deleted[piece.what] += rows
                    batches += 1
                    more = rows > 0
                    await pace.breathe()
            told = f"{deleted['runs'] + deleted['runsBeyondCount']} runs, {deleted['events']} events"
            await pace.reached(look + 1, LOOKS, f"{told} and {deleted['keys']} keys deleted")
        oldest = await session.row(SQL["oldest"])
    return {
        "keepDays": retention.keep_days,
        "keepRuns": retention.keep_runs,
        "keepKeysHours": retention.keep_keys_hours,
        "batches": batches,
        "runsDeleted": deleted["runs"] + deleted["runsBeyondCount"],
        "runsDeletedBeyondCount": deleted["runsBeyondCount"],
        "eventsDeleted": deleted["events"],
        "nodesDeleted": deleted["nodes"],
        "auditDeleted": deleted["audit"],
        "keysDeleted": deleted["keys"],
        "oldestRunFinishedAt": oldest.run_finished_at and oldest.run_finished_at.isoformat(),
        "oldestEventAt": oldest.event_at and oldest.event_at.isoformat(),
    }


def by_age(retention: Retention, rows_max: int) -> Iterator[Piece]:
    """What every look deletes."""
    seconds = retention.keep_days * DAY_SECONDS
    for status in STATUSES:
        params = {"status": status, "keep_seconds": retention.runs_seconds(status), "rows_max": rows_max}
        yield Piece("runs", "prune_runs_by_age", params)
    events = {"keep_seconds": seconds, "keep_events": retention.keep_events, "rows_max": rows_max}
    yield Piece("events", "prune_events", events)
    yield Piece("nodes", "prune_nodes", {"keep_seconds": seconds})
    audit_seconds = retention.keep_audit_days * DAY_SECONDS
    yield Piece("audit", "prune_audit", {"keep_seconds": audit_seconds, "rows_max": rows_max})
    keys_seconds = retention.keep_keys_hours * HOUR_SECONDS
    yield Piece("keys", "prune_keys", {"keep_seconds": keys_seconds, "rows_max": rows_max})


def by_count(retention: Retention, rows_max: int, tasks: list[str]) -> Iterator[Piece]:
    """What some of the tasks have beyond their number."""
    for task in tasks:
        params = {"task": task, "keep": retention.runs_of(task), "rows_max": rows_max}
        yield Piece("runsBeyondCount", "prune_runs_by_count", params)
