"""A database with a long history, and what a question to it costs by PostgreSQL's own counters.

The rows are those of benchmarks/growth.py, fewer of them; by counters and not by
times, since those depend on who else uses the machine.
"""

from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager

from server.postgres.connections import Database
from server.postgres.statements import load

SQL = load("benchmarks.apparatus", "growth.sql")
RUNS = 50_000
ACCOUNTS = 500
ENTRIES = 50_000
TABLES = ("entries", "events", "runs", "users")
FLUSHES = 2  # what the first asks for is done when it has ended
CALLS = 8  # the sixth call of a prepared statement may be the first with a plan for any values


def fill(database) -> int:
    """The history; returns its first account, whose entries are spread over all of it."""
    series = {"first": 1, "last": RUNS, "total": RUNS}
    with database.connect_as_owner() as owner:
        owner.execute("truncate events")  # of the template: then runs and events are as told
        for name in ("quiet", "tasks", "runs", "events", "loud"):
            owner.execute(SQL[name], series)
        rounds = ENTRIES // ACCOUNTS
        first, _ = owner.execute(SQL["accounts"], {"rounds": rounds, "accounts": ACCOUNTS}).fetchone()
        series = {"first": 1, "last": ENTRIES, "total": ENTRIES}
        owner.execute(SQL["entries"], series | {"accounts": ACCOUNTS, "first_account": first})
        owner.execute(SQL["settle"])
        assert owner.execute(SQL["differing"]).fetchone() == (0,)
        # What this session has read is not to be counted among what is asked later.
        for _ in range(FLUSHES):
            owner.execute(SQL["count_now"])
    return first


@asynccontextmanager
async def opened(database):
    """The pool that the product reads by, with one connection, whose counters can be asked for."""
    found = Database(database.application_url, connections=1, name="reader")
    await found.open()
    try:
        yield found
    finally:
        await found.close()


async def cost_of(reader: Database, ask: Callable[[], Awaitable[object]]) -> dict[str, tuple[int, int]]:
    """Of each table, how often a question passed through all of it, and rows fetched by index, for one call."""
    before = await _counters(reader)
    for _ in range(CALLS):
        await ask()
    after = await _counters(reader)
    return {
        table: (after[table][0] - before[table][0], -((before[table][1] - after[table][1]) // CALLS))
        for table in TABLES
    }


async def _counters(reader: Database) -> dict[str, tuple[int, int]]:
    for _ in range(FLUSHES):
        await reader.rows(SQL["count_now"])
    return {row.name: (row.passes, row.fetched) for row in await reader.rows(SQL["passes"])}
