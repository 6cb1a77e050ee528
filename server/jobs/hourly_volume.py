"""Counts the ledger's entries by hour: how many, how much came in, how much went out.

The hours are counted in pages by key. A small ledger is counted several times over
the same hours: the ledger is append-only, so a later count may find a few entries
more (they were not committed yet) and never one less.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from server.jobs.pace import MINIMUM_SECONDS, AsyncPace, Passes
from server.jobs.session import Session
from server.postgres.statements import load

if TYPE_CHECKING:
    from server.cron.context import AsyncContext

ENTRIES_PER_PAGE_MAX = 5_000
HOURS_MAX = 24 * 31
# Ids and times grow together but for transactions in flight; none lasts this long.
ORDER_SLACK = timedelta(minutes=1)

SQL = load("server.jobs", "ledger.sql")


class Window(NamedTuple):
    """Which entries to count: ids first_id..last_id, made in [since, until)."""

    first_id: int
    last_id: int
    since: datetime
    until: datetime


class Volume(NamedTuple):
    """One hour's entries; money in minor units, both directions positive."""

    entries: int = 0
    money_in: int = 0
    money_out: int = 0

    def plus(self, row: Any) -> Volume:
        """This and a row of a page."""
        return Volume(
            self.entries + row.entries, self.money_in + int(row.money_in), self.money_out + int(row.money_out)
        )


async def ledger_statistics(
    context: AsyncContext,
    minimum_seconds: float = MINIMUM_SECONDS,
    hours: int = 48,
    settle_seconds: float = 15.0,
) -> dict[str, Any]:
    """The last `hours` hours, the running one included, without the last settle_seconds.

    Raises ValueError for hours out of range, RuntimeError when entries vanished
    between two passes: then something writes to the ledger behind its functions.
    """
    if not 1 <= hours <= HOURS_MAX:
        raise ValueError(f"hours must be from 1 to {HOURS_MAX}, got {hours}")
    pace = AsyncPace(context, minimum_seconds)
    volumes: dict[datetime, Volume] = {}
    late = 0
    async with Session(context) as session:
        window = await _find_window(session, hours, settle_seconds)
        span = max(0, window.last_id - window.first_id + 1)
        plan = Passes.over(span, ENTRIES_PER_PAGE_MAX)
        for passed in range(plan.count):
            counted = await _count(session, pace, window, (passed, plan))
            late += count_late(volumes, counted) if passed else 0
            volumes = counted
    await pace.reached(span * plan.count, span * plan.count, f"{len(volumes)} hours")
    return {
        "since": window.since.isoformat(),
        "until": window.until.isoformat(),
        "passes": plan.count,
        "entries": sum(volume.entries for volume in volumes.values()),
        "lateEntries": late,
        "hours": [
            {
                "hour": hour.isoformat(),
                "entries": volume.entries,
                "moneyIn": volume.money_in,
                "moneyOut": volume.money_out,
            }
            for hour, volume in sorted(volumes.items())
        ],
    }


def count_late(before: Mapping[datetime, Volume], after: Mapping[datetime, Volume]) -> int:
    """How many entries a later count of the same hours found besides; never fewer than before."""
    for hour, volume in before.items():
        if after.get(hour, Volume()).entries < volume.entries:
            raise RuntimeError(f"entries of {hour.isoformat()} vanished: {volume}, then {after.get(hour)}")
    return sum(v.entries for v in after.values()) - sum(v.entries for v in before.values())


async def _find_window(session: Session, hours: int, settle_seconds: float) -> Window:
    """Finds by bisection where the hours begin: no index on time is kept for this."""
    row = await session.row(SQL["window_of_hours"], {"hours": hours, "settle_seconds": settle_seconds})
    low, high = row.first_id, row.last_id + 1
    while low < high:
        middle = (low + high) // 2
        found = (await session.rows(SQL["first_entry_from"], {"id": middle}))[0]
        if found.created_at < row.since - ORDER_SLACK:
            low = found.id + 1
        else:
            high = middle
    return Window(low, row.last_id, row.since.astimezone(UTC), row.until.astimezone(UTC))


async def _count(
    session: Session, pace: AsyncPace, window: Window, turn: tuple[int, Passes]
) -> dict[datetime, Volume]:
    """One pass over the window."""
    passed, plan = turn
    span = max(0, window.last_id - window.first_id + 1)
    volumes: dict[datetime, Volume] = defaultdict(Volume)
    after_id = window.first_id - 1
    params = {"since": window.since, "until": window.until, "last_id": window.last_id}
    while rows := await session.rows(
        SQL["volume_by_hour"], params | {"after_id": after_id, "entries_max": plan.page_items}
    ):
        for row in rows:
            if row.hour is not None:
                hour = row.hour.astimezone(UTC)
                volumes[hour] = volumes[hour].plus(row)
        after_id = max(row.newest_id for row in rows)
        done = passed * span + after_id - window.first_id + 1
        await pace.reached(done, span * plan.count, f"pass {passed + 1} of {plan.count}, entry {after_id}")
    return dict(volumes)
