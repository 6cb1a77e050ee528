"""Whether every balance is the sum of its entries (invariant M2): one look at the whole ledger.

One statement, so one snapshot: money may move meanwhile. It reads every entry, a
million in a second or so, on a connection of its own whose limit fits that. (The
task reconcile_ledger checks the same all the time, in small steps.)
"""

import asyncio
from time import perf_counter

from msgspec import Struct
from psycopg import Error

from server.errors import DatabaseUnavailableError
from server.postgres.faults import is_transient
from server.postgres.profile import Profile
from server.postgres.sessions import TimedAsyncConnection
from server.postgres.statements import load

CHECK_SECONDS_MAX = 300.0
DIFFERENCES_MAX = 10_000


class Difference(Struct, frozen=True, rename="camel"):
    """An account whose balance is not the sum of its entries; null: there is no such account."""

    user_id: int
    balance: int | None
    entries_sum: int


class LedgerReport(Struct, frozen=True, rename="camel"):
    """What a check found. Sums are in minor units; is_sound: nothing differs.

    differences: the first DIFFERENCES_MAX of `differing`, by user.
    """

    is_sound: bool
    accounts: int
    entries: int
    balances_sum: int
    entries_sum: int
    differing: int
    differences: list[Difference]
    checked_at: str
    seconds: float


async def check_ledger(url: str) -> LedgerReport:
    """Compares all accounts. Raises DatabaseUnavailableError."""
    began = perf_counter()
    profile = Profile(
        url,
        "ringfence ledger check",
        call_seconds_max=CHECK_SECONDS_MAX,
        settings={"statement_timeout": f"{CHECK_SECONDS_MAX:g}s"},
    )
    try:
        async with await TimedAsyncConnection.open(profile) as connection:
            statement = load("server.money", "ledger.sql")["check"]
            cursor = await connection.execute(statement, {"differences_max": DIFFERENCES_MAX})
            (row,) = await cursor.fetchall()
    except Error as error:
        if not is_transient(error):
            raise
        raise DatabaseUnavailableError(f"the ledger can't be checked: {error}") from error
    return LedgerReport(
        is_sound=row.differing == 0,
        accounts=row.accounts,
        entries=row.entries,
        balances_sum=int(row.balances_sum),
        entries_sum=int(row.entries_sum),
        differing=row.differing,
        differences=[Difference(*found) for found in row.differences],
        checked_at=row.checked_at,
        seconds=round(perf_counter() - began, 3),
    )


class LedgerChecks:
    """One check at a time for one node: who asks while one is under way gets its answer."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._running: asyncio.Task[LedgerReport] | None = None

    async def check(self) -> LedgerReport:
        """The report of the check that is under way, or of a new one. Raises as check_ledger()."""
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(check_ledger(self._url))
        # Shielded: others may wait for the same answer when this one's client goes away.
        return await asyncio.shield(self._running)
