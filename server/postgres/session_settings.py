"""The server settings of a connection, kept by its session or sent with each transaction.

A pooler in transaction mode, such as PgBouncer, lets one transaction of a client be served
by one session of the server and the next one by another. What was set for a session is then
another client's a moment later, and not there when it is wanted. So

    the session is ours alone    its settings are set once, when it begins
    there is a pooler between    nothing is set for the session; the settings go with each
                                 transaction, in one packet with its first statement, and
                                 end with it. No statement is prepared by name

Which of the two it is, nobody has to configure: PostgreSQL announces to a client which of its
processes serves it, a pooler announces a number of its own, and the process that answers says
its number when asked. A pooler in session mode is taken for one in transaction mode, which
costs a fifth of a millisecond for each transaction. Settings don't travel in the startup
packet, where a pooler would refuse or forget them.

What can't go with a transaction is how it begins: behind a pooler the role or the database
must give transactions the isolation that the service needs, or it does not connect.

Pure: it says what to execute, and takes what came back.
"""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import psycopg

from server.postgres.statements import load

ISOLATION = "read committed"
EVERY_SESSION: Mapping[str, str] = {
    "timezone": "UTC",
    "default_transaction_isolation": ISOLATION,
    "client_connection_check_interval": "1s",
}
# What a session says about transactions to come, and how the same is said within one.
_WITHIN = {"default_transaction_read_only": "transaction_read_only"}
_BEFORE = frozenset({"default_transaction_isolation"})

STATEMENTS = load("server.postgres", "sessions.sql")


class Command(NamedTuple):
    """A statement with what belongs to it."""

    statement: str
    params: dict[str, Any]


class SessionSettings:
    """Those of one connection. is_pooled: whether there is a pooler between; known once it has begun."""

    def __init__(self, wanted: Mapping[str, str]) -> None:
        self._wanted = {**EVERY_SESSION, **wanted}
        self.is_pooled = False
        self._for_transaction = ""

    def begin(self, announced_pid: int) -> Command:
        """To be executed first, in a transaction of its own, with what the server announced."""
        params = {"announced_pid": announced_pid, "settings": json.dumps(self._wanted)}
        return Command(STATEMENTS["begin_session"], params)

    def begun(self, is_pooled: bool, isolation: str) -> None:
        """Takes the answer to it. Raises psycopg.OperationalError if the service can't work like that."""
        self.is_pooled = is_pooled
        self._for_transaction = within_transaction(self._wanted)
        if is_pooled and isolation != ISOLATION:
            raise psycopg.OperationalError(
                f"there is a pooler before the database, and transactions begin as {isolation}, where the "
                f"service needs {ISOLATION}: alter role … set default_transaction_isolation = "
                f"'{ISOLATION}', and let the pooler connect anew"
            )

    def with_transaction(self) -> Command:
        """To be executed as the first thing in each transaction, behind a pooler."""
        return Command(STATEMENTS["begin_transaction"], {"settings": self._for_transaction})

    def change(self, settings: Mapping[str, str]) -> Command | None:
        """Other settings from the next transaction on; what is to be executed for it, if anything."""
        self._wanted |= settings
        self._for_transaction = within_transaction(self._wanted)
        if self.is_pooled:
            return None
        return Command(STATEMENTS["change_session"], {"settings": json.dumps(dict(settings))})


def within_transaction(settings: Mapping[str, str]) -> str:
    """The settings as a transaction that has begun can still take them, as a JSON object."""
    return json.dumps({_WITHIN.get(key, key): value for key, value in settings.items() if key not in _BEFORE})
