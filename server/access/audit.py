"""The record of what operators did: who they are, as it is written, and what is shown of it.

It is written by the functions of the database that act (0009_operate.sql, 0012_tokens.sql),
so that neither is without the other. What happens outside of the database is told to it:
by record() from a node, and by a command as server/cli/recorded.py says.
"""

from dataclasses import asdict, dataclass
from datetime import datetime

import msgspec
import psycopg
import structlog
from msgspec import Struct

from server.access.tokens import Caller
from server.errors import DatabaseUnavailableError
from server.postgres.connections import Database
from server.postgres.faults import without_data
from server.postgres.statements import load

RECORD_SECONDS_MAX = 2.0

STATEMENTS = load("server.access", "audit.sql")
log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Origin:
    """Who asks for an action, from which address, of which node.

    trace: the W3C trace context of the request, where traces are collected; not recorded.
    """

    caller: Caller
    peer: str
    node: str
    trace: str | None = None

    @property
    def text(self) -> str:
        """As record_action() takes it."""
        token = self.caller.token or None
        name = self.caller.name if token else ""
        facts = {"token": token, "name": name, "peer": self.peer, "node": self.node}
        if self.trace is not None:
            facts["trace"] = self.trace
        return msgspec.json.encode(facts).decode()


class AuditRecord(Struct, frozen=True, rename="camel"):
    """One action, in the shape in which it is sent; see docs/security.md."""

    id: int
    at: str
    actor_kind: str
    actor: str
    actor_name: str
    action: str
    target: str
    outcome: str
    peer: str
    node: str


@dataclass(frozen=True)
class AuditFilter:
    """Which lines are wanted. who: an actor or its name. since and until: since <= at < until."""

    since: datetime | None = None
    until: datetime | None = None
    who: str | None = None
    action: str | None = None
    before_id: int | None = None


async def read_audit(database: Database, wanted: AuditFilter, limit: int) -> tuple[list[AuditRecord], bool]:
    """A page of the record, newest first, and whether more follows.

    before_id of `wanted`: the last one of the page before; None starts at the newest. Raises
    DatabaseUnavailableError.
    """
    # One more than asked for tells whether another page follows.
    rows = await database.rows(STATEMENTS["page"], {**asdict(wanted), "limit": limit + 1})
    return [AuditRecord(*row) for row in rows[:limit]], len(rows) > limit


async def record(database: Database, action: str, target: str, outcome: str, origin: Origin) -> None:
    """Records what was done on a node itself.

    It was done by then, and must be possible while the database is away: if it can't be
    recorded within RECORD_SECONDS_MAX, the log tells it in the record's place.
    """
    params = {"action": action, "target": target, "outcome": outcome, "caller": origin.text}
    try:
        await database.rows(
            STATEMENTS["record_operation"], params, repeatable=False, deadline_seconds=RECORD_SECONDS_MAX
        )
    except (DatabaseUnavailableError, psycopg.Error) as error:
        log.error("not in the audit record", **params, **without_data(error))
