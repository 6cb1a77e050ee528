"""The one connection over which a node moves money, and what its errors mean.

Full durability: synchronous_commit stays as the server has it. No NOTIFY here,
whose lock would serialise the commits of the whole server.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import psycopg
from psycopg.rows import tuple_row

from server.money.postings import Listing, Posted, Posting
from server.postgres.faults import (
    BALANCE_NOT_NEGATIVE,
    BALANCE_WITHIN_JSON_INTEGERS,
    Fault,
    balance_of,
    classify,
    constraint_of,
)
from server.postgres.profile import Profile
from server.postgres.sessions import TimedAsyncConnection
from server.postgres.statements import load

LOCK_SECONDS_MAX = 1.0
"""How long a batch waits for an account that somebody else holds, before it goes on without it."""
ANSWER_SECONDS_MAX = 5.0
"""How long an answer is waited for before the batch is sent again over another connection."""
SKIPPING_LOCK_SECONDS_MAX = 0.1
"""The same for what still makes a batch wait that skips held accounts: another's request id or key."""

STATEMENTS = load("server.money", "postings.sql")
_REFUSALS = {
    BALANCE_NOT_NEGATIVE: "insufficient_funds",
    BALANCE_WITHIN_JSON_INTEGERS: "balance_limit",
}


class Poster:
    """Sends postings; one call at a time. Every call raises psycopg.Error if it failed as a whole."""

    def __init__(self, url: str, name: str, deadline_seconds: float) -> None:
        # 0 would mean for ever.
        self._lock_ms_max = max(1, round(1000 * min(LOCK_SECONDS_MAX, deadline_seconds / 4)))
        self._lock_ms = self._lock_ms_max
        self._profile = Profile(
            url,
            name,
            part="money",
            settings={
                "statement_timeout": f"{round(1000 * deadline_seconds)}ms",
                "lock_timeout": f"{self._lock_ms_max}ms",
            },
        )
        self._connection: TimedAsyncConnection | None = None

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection, as far as is known; calls need one.

        One that broke while nothing was sent is none: what goes over another one instead
        is not in doubt.
        """
        return self._connection is not None and not self._connection.has_been_told

    async def connect(self) -> None:
        """Makes the connection. Raises ConnectFailedError."""
        await self.reset()
        self._connection = await TimedAsyncConnection.open(self._profile, row_factory=tuple_row)
        self._lock_ms = self._lock_ms_max

    async def post_one(self, posting: Posting, *, seconds: float) -> Posted:
        """A lone movement without a key, by withdraw() or deposit(); the constraint refuses."""
        statement = "withdraw" if posting.amount < 0 else "deposit"
        params = {"user_id": posting.user_id, "amount": abs(posting.amount), "id": posting.request_id}
        try:
            ((balance, entry_id),) = await self._rows(statement, params, seconds)
        except psycopg.Error as error:
            refused = _refusal(error, posting.request_id)
            if refused is None:
                raise
            return refused
        return Posted("posted", balance, entry_id, False, posting.request_id)

    async def post(self, postings: Sequence[Posting], *, skip_locked: bool, seconds: float) -> list[Posted]:
        """A batch in one transaction; the outcomes in order."""
        keyed = any(posting.wish.key is not None for posting in postings)
        params = {
            "user_ids": _numbers(posting.user_id for posting in postings),
            "amounts": _numbers(posting.amount for posting in postings),
            "ids": _plain(posting.request_id for posting in postings),
            "clients": _quoted(posting.wish.client for posting in postings) if keyed else None,
            "keys": _quoted(posting.wish.key for posting in postings) if keyed else None,
            "skip_locked": skip_locked,
        }
        rows = await self._rows("post_batch", params, seconds, skip_locked=skip_locked)
        return [Posted(*row) for row in rows]

    async def post_list(self, listing: Listing, *, skip_locked: bool, seconds: float) -> list[Posted]:
        """A client's list in one transaction of its own; the outcomes in order."""
        params = {
            "user_ids": _numbers(listing.user_ids),
            "amounts": _numbers(listing.amounts),
            "ids": _plain(listing.request_ids),
            "client": listing.wish.client,
            "key": listing.wish.key,
            "fingerprint": listing.fingerprint,
            "skip_locked": skip_locked,
        }
        rows = await self._rows("post_list", params, seconds, skip_locked=skip_locked)
        return [Posted(*row) for row in rows]

    async def reset(self) -> None:
        """Forgets the connection, which may be broken."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _rows(
        self, statement: str, params: dict[str, Any], seconds: float, *, skip_locked: bool = False
    ) -> list[Any]:
        connection = self._connection
        assert connection is not None, "connect() comes first"
        connection.call_seconds_max = min(ANSWER_SECONDS_MAX, max(0.001, seconds))
        lock_ms = self._lock_ms_max
        if skip_locked:
            lock_ms = min(lock_ms, round(1000 * SKIPPING_LOCK_SECONDS_MAX))
        if lock_ms != self._lock_ms:
            await connection.change_settings({"lock_timeout": f"{lock_ms}ms"})
            self._lock_ms = lock_ms
        cursor = await connection.execute(STATEMENTS[statement], params, prepare=True)
        return await cursor.fetchall()


def _refusal(error: psycopg.Error, request_id: str) -> Posted | None:
    """The outcome that an error of withdraw() or deposit() stands for; None if it is none."""
    fault = classify(error)
    if fault is Fault.NO_SUCH_USER:
        return Posted("user_not_found", None, None, False, request_id)
    if fault is Fault.REQUEST_ID_REUSED:
        return Posted("request_id_reused", None, None, False, request_id)
    outcome = _REFUSALS.get(constraint_of(error) or "")
    return None if outcome is None else Posted(outcome, balance_of(error), None, False, request_id)


# Arrays as PostgreSQL's own text: joined here in a tenth of the time that the driver takes.


def _numbers(values: Iterable[int]) -> str:
    return "{" + ",".join(map(str, values)) + "}"


def _plain(values: Iterable[str]) -> str:
    """Of texts that need no quoting, such as UUIDs."""
    return "{" + ",".join(values) + "}"


def _quoted(values: Iterable[str | None]) -> str:
    return "{" + ",".join("NULL" if value is None else _quote(value) for value in values) + "}"


def _quote(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
