"""Which refused requests become lines of the audit record: few of them, whatever comes.

Formula
    One line for each kind of refusal (what was wrong, whose token, from where) at its first,
    and one an hour while it goes on, with their number. A node tells KINDS_MAX kinds apart, and
    record_refusals() takes a limited number an hour of all nodes together.

Not promised
    That each refusal is in the record: the log has a line for each, and metrics count them.
    What was counted since the last line is lost when the node ends.
"""

from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import psycopg
import structlog

from server.access.audit import STATEMENTS
from server.errors import DatabaseUnavailableError
from server.postgres.connections import Database
from server.postgres.faults import reason_of
from server.waking import Waker

KINDS_MAX = 1000
AGAIN_SECONDS = 3600.0
LOOK_SECONDS = 60.0
LINES_MAX = 60
"""Of one call; the database takes no more in an hour."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Refusal:
    """One kind. token: the id of one whose secret was right, or None. peer: who counts as one client."""

    outcome: str
    token: str | None
    peer: str


@dataclass(slots=True)
class _Seen:
    """target: what the first of them asked for. count: of those that no line tells of yet."""

    target: str
    count: int = 0
    told_at: float = float("-inf")


@dataclass(frozen=True, slots=True)
class Line:
    """What one line tells."""

    refusal: Refusal
    target: str
    count: int

    @property
    def outcome(self) -> str:
        """What came of it, and how often."""
        return self.refusal.outcome + (f" ({self.count} times)" if self.count > 1 else "")


class Refusals:
    """What was refused and is not told yet. Pure; times are seconds of one clock.

    left_out: how many no line tells of, and none will.
    """

    def __init__(self) -> None:
        self._seen: dict[Refusal, _Seen] = {}
        self.left_out = 0

    def note(self, refusal: Refusal, target: str, now: float) -> bool:
        """Takes one in; returns whether a line is due for it."""
        seen = self._seen.get(refusal)
        if seen is None:
            if len(self._seen) >= KINDS_MAX:
                self.left_out += 1
                return False
            seen = self._seen[refusal] = _Seen(target)
        seen.count += 1
        return now - seen.told_at >= AGAIN_SECONDS

    def due(self, now: float) -> list[Line]:
        """The lines to be written now; each is told of this once. A kind that is silent is forgotten."""
        lines = []
        for refusal, seen in list(self._seen.items()):
            if now - seen.told_at < AGAIN_SECONDS:
                continue
            if seen.count == 0:
                del self._seen[refusal]
                continue
            lines.append(Line(refusal, seen.target, seen.count))
            seen.count, seen.told_at = 0, now
        return lines


class RefusalRecord:
    """Writes the lines of one node. now: a clock that never steps."""

    def __init__(self, database: Database, node: str, now: Callable[[], float]) -> None:
        self.refusals = Refusals()
        self._database = database
        self._node = node
        self._now = now
        self._waker = Waker()

    def note(self, refusal: Refusal, target: str) -> None:
        """Takes in a refused request; returns at once."""
        if self.refusals.note(refusal, target, self._now()):
            self._waker.wake()

    async def run(self) -> None:
        """Writes what is due until it is cancelled."""
        while True:
            await self._waker.rest(LOOK_SECONDS)
            await self._write(self.refusals.due(self._now()))

    async def _write(self, lines: list[Line]) -> None:
        if not lines:
            return
        recorded = 0
        try:
            row = await self._database.row(
                STATEMENTS["record_refusals"], {"refusals": self._as_json(lines)}, repeatable=False
            )
            recorded = row.recorded
        except (DatabaseUnavailableError, psycopg.Error) as error:
            log.warning("refused requests are not in the audit record", error=reason_of(error))
        self.refusals.left_out += sum(line.count for line in lines[recorded:])

    def _as_json(self, lines: list[Line]) -> str:
        told = [
            {
                "token": line.refusal.token,
                "peer": line.refusal.peer,
                "node": self._node,
                "target": line.target,
                "outcome": line.outcome,
            }
            for line in lines[:LINES_MAX]
        ]
        return msgspec.json.encode(told).decode()
