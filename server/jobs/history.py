"""Deletes what is older than its retention, in small batches: history, and idempotency keys.

Not fenced by the run's id, on purpose: deleting what is too old is right whoever does
it, and prune_history() passes by what another has locked. So a statement may also be
repeated after a lost connection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from server.jobs.pace import MINIMUM_SECONDS, STEPS_MIN, AsyncPace
from server.jobs.session import Session
from server.postgres.statements import load

if TYPE_CHECKING:
    from server.cron.context import AsyncContext

ROWS_MAX_MAX = 10_000
DAY_SECONDS = 86_400
HOUR_SECONDS = 3_600

SQL = load("server.jobs", "history.sql")


async def prune_history(
    context: AsyncContext,
    minimum_seconds: float = MINIMUM_SECONDS,
    keep_days: float = 30,
    keep_keys_hours: float = 24,
    rows_max: int = 500,
) -> dict[str, Any]:
    """Deletes until nothing old is left, and then what grows old while it looks.

    keep_keys_hours: how long at least a repeated Idempotency-Key gets its first answer.
    rows_max: the most rows of each kind that one batch deletes; locks are held and
        write-ahead log is written for no more than that at a time.
    """
    if min(keep_days, keep_keys_hours) < 0 or not 1 <= rows_max <= ROWS_MAX_MAX:
        raise ValueError(
            f"keep_days and keep_keys_hours must be 0 or more, and rows_max from 1 to {ROWS_MAX_MAX}"
        )
    pace = AsyncPace(context, minimum_seconds)
    params = {"keep_seconds": keep_days * DAY_SECONDS, "rows_max": rows_max}
    keys_params = {"keep_seconds": keep_keys_hours * HOUR_SECONDS, "rows_max": rows_max}
    runs = events = nodes = keys = batches = 0
    async with Session(context, read_only=False) as session:
        for look in range(STEPS_MIN):
            deleted = -1
            # A backlog is not spread over the looks: only rests keep it from being
            # deleted at full speed, so that it ends however large it is.
            while deleted:
                row = await session.row(SQL["prune"], params)
                keys_deleted = (await session.row(SQL["prune_keys"], keys_params)).keys_deleted
                deleted = row.runs_deleted + row.events_deleted + row.nodes_deleted + keys_deleted
                runs += row.runs_deleted
                events += row.events_deleted
                nodes += row.nodes_deleted
                keys += keys_deleted
                batches += 1
                await pace.breathe()
            await pace.reached(look + 1, STEPS_MIN, f"{runs} runs, {events} events and {keys} keys deleted")
        oldest = await session.row(SQL["oldest"])
    return {
        "keepDays": keep_days,
        "keepKeysHours": keep_keys_hours,
        "batches": batches,
        "runsDeleted": runs,
        "eventsDeleted": events,
        "nodesDeleted": nodes,
        "keysDeleted": keys,
        "oldestRunFinishedAt": oldest.run_finished_at and oldest.run_finished_at.isoformat(),
        "oldestEventAt": oldest.event_at and oldest.event_at.isoformat(),
    }
