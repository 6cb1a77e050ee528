"""Watches how tables and indexes grow, and estimates what of them is waste.

Dead rows and growth come from several samples over the time of the run; the estimate
of waste compares the last size with what the living rows need.

While a transaction stays open nothing that died since can be removed: each heartbeat
then adds the size of its row. Who holds it is in the result, and in the run's output
once it has lasted for long.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from server.jobs.pace import MINIMUM_SECONDS, AsyncPace
from server.jobs.session import Session
from server.postgres.statements import load

if TYPE_CHECKING:
    from server.cron.context import AsyncContext

RELATIONS_MAX = 50
SAMPLES_MAX = 1_000
HELD_TRANSACTIONS_MAX = 20_000
"""Of an old snapshot that nobody is warned of; about an hour of six nodes that do nothing else."""

SQL = load("server.jobs", "bloat.sql")


async def check_bloat(
    context: AsyncContext, minimum_seconds: float = MINIMUM_SECONDS, samples: int = 24
) -> dict[str, Any]:
    """The largest tables and indexes: size, growth, dead rows and estimated waste.

    Growth is between the first and the last sample; dead rows are the most seen. heldBack: what
    kept dead rows from being removed at the last sample, and for how many transactions.
    """
    if not 2 <= samples <= SAMPLES_MAX:
        raise ValueError(f"samples must be from 2 to {SAMPLES_MAX}, got {samples}")
    pace = AsyncPace(context, minimum_seconds)
    first_bytes: dict[str, int] = {}
    dead_rows_most: dict[str, int] = {}
    async with Session(context) as session:
        for sample in range(samples):
            tables = await session.rows(SQL["tables"], {"relations_max": RELATIONS_MAX})
            indexes = await session.rows(SQL["indexes"], {"relations_max": RELATIONS_MAX})
            for relation in (*tables, *indexes):
                first_bytes.setdefault(relation.name, relation.size_bytes)
            for table in tables:
                dead_rows_most[table.name] = max(table.dead_rows, dead_rows_most.get(table.name, 0))
            held = await session.rows(SQL["oldest_snapshot"], {})
            dead = sum(table.dead_rows for table in tables)
            await pace.reached(sample + 1, samples, f"{dead} dead rows in {len(tables)} tables")
    if held and held[0].transactions > HELD_TRANSACTIONS_MAX:
        print(
            f"WARNING: {held[0].holder} has held a snapshot for {held[0].transactions} transactions: "
            f"no row that died since can be removed, and tables that are updated grow. End it."
        )
    return {
        "samples": samples,
        "heldBack": {"by": held[0].holder, "transactions": held[0].transactions} if held else None,
        "tables": [describe_table(row, first_bytes[row.name], dead_rows_most[row.name]) for row in tables],
        "indexes": [describe_index(row, first_bytes[row.name]) for row in indexes],
    }


def describe_table(row: Any, first_bytes: int, dead_rows_most: int) -> dict[str, Any]:
    """One table of the result; shares are from 0 to 1, null where nothing is known."""
    rows = row.live_rows + row.dead_rows
    return {
        "table": row.name,
        "liveRows": row.live_rows,
        "deadRows": row.dead_rows,
        "deadRowsMost": dead_rows_most,
        "deadShare": round(row.dead_rows / rows, 4) if rows else None,
        "hotUpdateShare": round(row.hot_updates / row.updates, 4) if row.updates else None,
        "bytes": row.size_bytes,
        "indexesBytes": row.indexes_bytes,
        "grownBytes": row.size_bytes - first_bytes,
        "wasteBytes": waste_bytes(row.size_bytes, row.needed_bytes),
    }


def describe_index(row: Any, first_bytes: int) -> dict[str, Any]:
    """One index of the result."""
    return {
        "index": row.name,
        "table": row.table_name,
        "scans": row.scans,
        "bytes": row.size_bytes,
        "grownBytes": row.size_bytes - first_bytes,
        "wasteBytes": waste_bytes(row.size_bytes, row.needed_bytes),
    }


def waste_bytes(size_bytes: int, needed_bytes: int | None) -> int | None:
    """What is more than needed; None without statistics, as after no ANALYZE yet."""
    return None if needed_bytes is None else max(0, size_bytes - needed_bytes)
