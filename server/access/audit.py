"""The record of what operators did: who they are, as it is written, and what is shown of it.

It is written by the functions of the database that act (0009_operate.sql), so that
neither is without the other.
"""

from dataclasses import dataclass

import msgspec
from msgspec import Struct

from server.access.tokens import Caller
from server.postgres.connections import Database
from server.postgres.statements import load

_STATEMENTS = load("server.access", "audit.sql")


@dataclass(frozen=True)
class Origin:
    """Who asks for an action, from which address, of which node."""

    caller: Caller
    peer: str
    node: str

    @property
    def text(self) -> str:
        """As record_action() takes it."""
        token = self.caller.token or None
        name = self.caller.name if token else ""
        facts = {"token": token, "name": name, "peer": self.peer, "node": self.node}
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


async def read_audit(database: Database, before_id: int | None, limit: int) -> tuple[list[AuditRecord], bool]:
    """A page of the record, newest first, and whether more follows.

    before_id: the last one of the page before; None starts at the newest. Raises
    DatabaseUnavailableError.
    """
    # One more than asked for tells whether another page follows.
    rows = await database.rows(_STATEMENTS["page"], {"before_id": before_id, "limit": limit + 1})
    return [AuditRecord(*row) for row in rows[:limit]], len(rows) > limit
