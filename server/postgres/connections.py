"""Connections that know a deadline, and the pool of those that requests share.

A server that goes silent on an established connection swallows a cancel request
too, so a call that is out of time closes its socket instead of cancelling; the
server notices through client_connection_check_interval and stops the work.
"""

import asyncio
import random
from collections.abc import Mapping
from time import monotonic
from typing import Any, TypeVar

import psycopg
import structlog
from psycopg.abc import PQGen
from psycopg.errors import _WaitTimeout
from psycopg.rows import namedtuple_row
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout, TooManyRequests

from server.errors import DatabaseUnavailableError
from server.postgres.dsn import connection_string
from server.postgres.faults import Fault, classify, is_stale_session, is_transient

Result = TypeVar("Result")
Row = Any
"""A named tuple whose names are those of the statement's columns, which no type checker knows."""
log = structlog.get_logger(__name__)

CALL_SECONDS_MAX = 10.0
RETRY_SECONDS_MAX = 0.5
WAITING_MAX = 20_000


class TimedConnection(psycopg.Connection[Row]):
    """A blocking connection, for threads, whose calls end within `call_seconds_max`."""

    call_seconds_max: float = CALL_SECONDS_MAX

    def wait(self, gen: PQGen[Result], interval: float = 0.1, timeout: float | None = None) -> Result:
        try:
            return super().wait(gen, interval, self.call_seconds_max if timeout is None else timeout)
        except _WaitTimeout:
            self.pgconn.finish()
            raise psycopg.OperationalError(
                f"the database did not answer within {self.call_seconds_max:g} s"
            ) from None


class TimedAsyncConnection(psycopg.AsyncConnection[Row]):
    """A connection of the event loop whose calls end within `call_seconds_max`."""

    call_seconds_max: float = CALL_SECONDS_MAX

    async def wait(self, gen: PQGen[Result], interval: float = 0.1, timeout: float | None = None) -> Result:
        # A caller's own timeout (notifies() waits with one) is its way to be woken, no fault.
        if timeout is not None:
            return await super().wait(gen, interval, timeout)
        try:
            return await super().wait(gen, interval, self.call_seconds_max)
        except _WaitTimeout:
            self.pgconn.finish()
            raise psycopg.OperationalError(
                f"the database did not answer within {self.call_seconds_max:g} s"
            ) from None


class UnansweredError(DatabaseUnavailableError):
    """A statement was sent at least once and its answer did not come: it may have taken effect."""


class Database:
    """The pool for requests and the scheduler; every call ends by its deadline.

    A lost connection costs a repeated statement where the caller says that
    repeating is safe, and DatabaseUnavailableError (503) where it is not.
    """

    def __init__(self, url: str, *, connections: int, name: str) -> None:
        self.url = url
        self._pool: AsyncConnectionPool[TimedAsyncConnection] = AsyncConnectionPool(
            connection_string(url, name, statement_timeout="10s", lock_timeout="5s"),
            connection_class=TimedAsyncConnection,
            kwargs={"autocommit": True, "row_factory": namedtuple_row},
            min_size=connections,
            max_size=connections,
            max_waiting=WAITING_MAX,
            max_lifetime=3600,
            reconnect_timeout=5,
            open=False,
            name=name,
        )

    async def open(self) -> None:
        """Starts to connect; returns at once, whether the database is there or not."""
        await self._pool.open(wait=False)

    async def close(self) -> None:
        """Closes every connection; calls after this raise DatabaseUnavailableError."""
        await self._pool.close(timeout=2)

    async def rows(
        self,
        statement: str,
        params: Mapping[str, Any] | None = None,
        *,
        repeatable: bool = True,
        deadline_seconds: float = CALL_SECONDS_MAX,
    ) -> list[Row]:
        """All rows of one statement, in a transaction of its own.

        repeatable: the statement may be sent again after a lost connection; say
            False where a second effect would be wrong.
        Raises DatabaseUnavailableError at the deadline, or at once where nothing
        may be repeated, and of that UnansweredError if the statement may have
        taken effect; psycopg.Error for what the statement itself got wrong.
        """
        deadline = monotonic() + deadline_seconds
        pause = 0.02
        unanswered = False
        while True:
            try:
                return await self._rows_once(statement, params, deadline)
            except psycopg.Error as error:
                fault = classify(error)
                if is_stale_session(error) and monotonic() < deadline:
                    continue  # nothing was done, and each connection can be stale once
                if not is_transient(error):
                    raise
                sent = not isinstance(error, PoolTimeout | TooManyRequests | PoolClosed)
                # One lost answer is enough, whatever the repetitions say.
                unanswered = unanswered or (sent and fault is Fault.CONNECTION_LOST)
                may_repeat = repeatable or not sent or fault is not Fault.CONNECTION_LOST
                if isinstance(error, PoolClosed) or not may_repeat or monotonic() + pause >= deadline:
                    kind = UnansweredError if unanswered else DatabaseUnavailableError
                    raise kind(
                        f"The database gave no answer within {deadline_seconds:g} s: {_first_line(error)}"
                    ) from error
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 jitter, no secret
            pause = min(2 * pause, RETRY_SECONDS_MAX)

    async def row(self, statement: str, params: Mapping[str, Any] | None = None, **how: Any) -> Row:
        """The one row that the statement returns; see rows()."""
        return (await self.rows(statement, params, **how))[0]

    async def _rows_once(
        self, statement: str, params: Mapping[str, Any] | None, deadline: float
    ) -> list[Row]:
        async with self._pool.connection(timeout=max(0.001, deadline - monotonic())) as connection:
            # What the wait for a connection took is gone from the call's time.
            connection.call_seconds_max = max(0.001, deadline - monotonic())
            try:
                cursor = await connection.execute(statement, params)
            except psycopg.Error as error:
                if is_stale_session(error):
                    await connection.close()  # the pool makes another one
                raise
            return await cursor.fetchall() if cursor.description else []

    def statistics(self) -> Mapping[str, int]:
        """The pool's own figures: size, waiting requests, errors."""
        return self._pool.get_stats()


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
