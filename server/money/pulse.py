"""The pulse of the money path: how much it does, second by second, on all nodes together.

Each node counts what its batches came to and tells the database once a second, while
there is something to tell; any node reads the sum. Figures to watch: told a second late,
lost in a crash, and counted twice if an answer is lost. The ledger is the truth.

A node tells in the middle of the database's seconds. Told at their edge, a little jitter
would leave one second empty and count the next one twice.
"""

import asyncio
from collections.abc import Sequence

import psycopg
import structlog
from msgspec import Struct

from server.errors import DatabaseUnavailableError
from server.money.postings import Listing, Posted, Posting, Request
from server.postgres.connections import Database
from server.postgres.statements import load

TELL_SECONDS = 1.0
TELL_DEADLINE_SECONDS = 2.0

_STATEMENTS = load("server.money", "pulse.sql")
_MIDDLE = 0.5
log = structlog.get_logger(__name__)


class PulseSecond(Struct, frozen=True, rename="camel"):
    """One second. refused: decided, and moved nothing; largest_batch: the most movements in one."""

    at: str
    withdrawals: int
    deposits: int
    refused: int
    batches: int
    movements: int
    largest_batch: int


class Pulse(Struct, frozen=True):
    """The last whole seconds of the database's clock, oldest first; at: now, on that clock."""

    at: str
    seconds: list[PulseSecond]


class Tally:
    """What the batches of this node came to since it was last taken."""

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self.withdrawals = self.deposits = self.refused = 0
        self.batches = self.movements = self.largest = 0

    def add(self, batch: Sequence[Request], outcomes: Sequence[Sequence[Posted]]) -> None:
        """Counts one batch; what could not be decided in it is left out, and comes in another."""
        decided = 0
        for request, posted in zip(batch, outcomes, strict=True):
            for amount, one in zip(_amounts(request), posted, strict=False):
                if one.outcome == "locked":
                    continue
                decided += 1
                if one.outcome != "posted":
                    self.refused += 1
                elif one.replayed:
                    continue  # it moved before, and is counted there
                elif amount < 0:
                    self.withdrawals += 1
                else:
                    self.deposits += 1
        if decided:
            self.batches += 1
            self.movements += decided
            self.largest = max(self.largest, decided)

    def take(self) -> dict[str, int]:
        """The figures so far, by name; the count begins anew. Empty if there were no batches."""
        if not self.batches:
            return {}
        taken = dict(vars(self))
        self._clear()
        return taken


def _amounts(request: Request) -> Sequence[int]:
    if isinstance(request, Listing):
        return request.amounts
    return (request.amount,) if isinstance(request, Posting) else ()


class Teller:
    """Tells the database what this node's money path did."""

    def __init__(self, database: Database, node_name: str, tally: Tally) -> None:
        self._database = database
        self._node_name = node_name
        self._tally = tally

    async def run(self) -> None:
        """Tells until it is cancelled."""
        pause = TELL_SECONDS
        while True:
            await asyncio.sleep(pause)
            pause = TELL_SECONDS
            figures = self._tally.take()
            if figures:
                fraction = await self._tell(figures)
                pause += _MIDDLE - fraction

    async def _tell(self, figures: dict[str, int]) -> float:
        """How far the database's second has gone; figures that can't be told are lost."""
        params = {"node": self._node_name, **figures}
        try:
            row = await self._database.row(
                _STATEMENTS["tell"], params, repeatable=False, deadline_seconds=TELL_DEADLINE_SECONDS
            )
        except DatabaseUnavailableError:
            return _MIDDLE  # the outage is in the log already
        except psycopg.Error as error:
            # Figures must not end a node whose movements are safe.
            log.warning("the pulse of the money path could not be told", error=str(error).strip())
            return _MIDDLE
        return float(row.fraction)


async def read_pulse(database: Database, seconds: int) -> Pulse:
    """What all nodes told of the last seconds. Raises DatabaseUnavailableError."""
    rows = await database.rows(_STATEMENTS["read"], {"seconds": seconds})
    return Pulse(
        rows[0].now,
        [
            PulseSecond(
                row.at, row.withdrawals, row.deposits, row.refused, row.batches, row.movements, row.largest
            )
            for row in rows
        ],
    )
