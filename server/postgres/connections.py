"""The pool of connections that requests and the scheduler share; every call ends by its deadline.

Failures
    a connection broke while    found before anything is sent over it; another one is taken
    nobody used it
    the connection breaks       the statement is sent again where that is safe, until the deadline
    all connections are busy    calls wait for one until their deadlines; what got one at the very
                                end is not sent
    the server is silent        one sending waits for ANSWER_SECONDS_MAX, so that another
                                connection gets its turn before the deadline
    no connection can be made   tried on and on, also while nobody asks, RECONNECT_SECONDS_MAX
                                apart at most; calls wait for it until their deadlines
    the server takes no writes  another connection, which may end at another server
"""

import asyncio
from collections.abc import Mapping
from time import monotonic
from typing import Any

import psycopg
import structlog
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout, TooManyRequests

from server.distribution import Distribution
from server.errors import DatabaseUnavailableError
from server.postgres.back_off import BackOff
from server.postgres.faults import Fault, classify, ends_session, is_stale_session, is_transient, reason_of
from server.postgres.profile import CALL_SECONDS_MAX, Profile
from server.postgres.pulse import Pulse
from server.postgres.sessions import Row, TimedAsyncConnection

ANSWER_SECONDS_MAX = 6.0  # longer than a lock is waited for
# With less left a call is not sent: it would end a sound connection, and look like an outage.
ANSWER_SECONDS_MIN = 0.05
RETRY_SECONDS_MAX = 0.5
RETRY_SECONDS_MIN = 0.02
RECONNECT_SECONDS_MAX = 1.0
WAITING_MAX = 20_000

log = structlog.get_logger(__name__)


class UnansweredError(DatabaseUnavailableError):
    """A statement was sent at least once and its answer did not come: it may have taken effect."""


class _Broken(psycopg.OperationalError):
    """A connection that had broken while it lay in the pool; nothing was sent over it."""


class _PooledConnection(TimedAsyncConnection):
    """Opened by its profile, as every connection is."""

    @classmethod
    async def connect(cls, conninfo: str = "", *, profile: Profile, **_: Any) -> "_PooledConnection":  # type: ignore[override]
        """What the pool calls."""
        return await cls.open(profile)


class Database:
    """The pool for requests and the scheduler; every call ends by its deadline.

    A lost connection costs a repeated statement where the caller says that
    repeating is safe, and DatabaseUnavailableError (503) where it is not.
    """

    def __init__(self, url: str, *, connections: int, name: str) -> None:
        self.url = url
        self.call_seconds = Distribution()
        profile = Profile(
            url, name, part="reads", settings={"statement_timeout": "10s", "lock_timeout": "5s"}
        )
        self.pulse: Pulse = profile.pulse
        self._back_off = BackOff(RECONNECT_SECONDS_MAX)
        self._opened_at = float("-inf")
        self._failed_at = float("-inf")
        self._connections = connections
        self._reconnecting: asyncio.Task[None] | None = None
        self._pool: AsyncConnectionPool[_PooledConnection] = AsyncConnectionPool(
            connection_class=_PooledConnection,
            kwargs={"profile": profile},
            min_size=connections,
            max_size=connections,
            max_waiting=WAITING_MAX,
            max_lifetime=3600,
            configure=self._opened,
            # It gives up after the second try, and then the pauses are ours: its own double
            # without an end, and while nobody asks it would try no more.
            reconnect_timeout=0.1,
            reconnect_failed=self._reconnect,
            open=False,
            name=name,
        )

    async def open(self) -> None:
        """Starts to connect; returns at once, whether the database is there or not."""
        await self._pool.open(wait=False)

    async def close(self) -> None:
        """Closes every connection; calls after this raise DatabaseUnavailableError."""
        if self._reconnecting is not None:
            self._reconnecting.cancel()
            await asyncio.wait({self._reconnecting})
        await self._pool.close(timeout=2)

    async def rows(
        self,
        statement: str,
        params: Mapping[str, Any] | None = None,
        *,
        repeatable: bool = True,
        deadline_seconds: float = CALL_SECONDS_MAX,
        answer_seconds_max: float = ANSWER_SECONDS_MAX,
    ) -> list[Row]:
        """All rows of one statement, in a transaction of its own.

        repeatable: the statement may be sent again after a lost connection; say
            False where a second effect would be wrong.
        answer_seconds_max: how long one sending is waited for; more only where the
            statement itself may wait for that long.
        Raises DatabaseUnavailableError at the deadline, or at once where nothing
        may be repeated, and of that UnansweredError if the statement may have
        taken effect; psycopg.Error for what the statement itself got wrong.
        """
        deadline = monotonic() + deadline_seconds
        back_off = BackOff(RETRY_SECONDS_MAX, first_seconds=RETRY_SECONDS_MIN)
        unanswered = False
        stale_sessions = 0
        while True:
            try:
                return await self._rows_once(statement, params, deadline, answer_seconds_max)
            except psycopg.Error as error:
                stale_sessions += is_stale_session(error)
                # Each connection can be stale once; a statement that none of them takes is a defect.
                is_stale = is_stale_session(error) and stale_sessions <= self._connections + 1
                if not is_transient(error) and not is_stale:
                    raise
                lost = classify(error) is Fault.CONNECTION_LOST and not _was_not_sent(error)
                # One lost answer is enough, whatever the repetitions say.
                unanswered = unanswered or lost
                pause = back_off.pause()
                may_repeat = (repeatable or not lost) and not isinstance(error, PoolClosed)
                if not may_repeat or monotonic() + pause >= deadline:
                    kind = UnansweredError if unanswered else DatabaseUnavailableError
                    raise kind(
                        f"The database gave no answer within {deadline_seconds:g} s: {reason_of(error)}"
                    ) from error
            await asyncio.sleep(pause)

    async def row(self, statement: str, params: Mapping[str, Any] | None = None, **how: Any) -> Row:
        """The one row that the statement returns; see rows()."""
        return (await self.rows(statement, params, **how))[0]

    async def _rows_once(
        self, statement: str, params: Mapping[str, Any] | None, deadline: float, answer_seconds_max: float
    ) -> list[Row]:
        async with self._pool.connection(timeout=max(0.001, deadline - monotonic())) as connection:
            if connection.has_been_told:
                await connection.close()  # the pool then makes another one
                raise _Broken("the connection broke while nobody used it")
            # What the wait for a connection took is gone from the call's time.
            began = monotonic()
            if deadline - began < ANSWER_SECONDS_MIN:
                raise PoolTimeout("no connection was free in time")
            connection.call_seconds_max = min(answer_seconds_max, deadline - began)
            try:
                cursor = await connection.execute(statement, params)
                return await cursor.fetchall() if cursor.description else []
            except psycopg.Error as error:
                if ends_session(error):
                    await connection.close()
                raise
            finally:
                self.call_seconds.observe(monotonic() - began)

    def statistics(self) -> Mapping[str, int]:
        """The pool's own figures: size, waiting requests, errors."""
        return self._pool.get_stats()

    async def _opened(self, _: _PooledConnection) -> None:
        self._opened_at = monotonic()

    def _reconnect(self, _: Any) -> None:
        """Called by the pool when it gives up a connection that it could not make."""
        if self._opened_at > self._failed_at:
            self._back_off = BackOff(RECONNECT_SECONDS_MAX)  # another outage
        self._failed_at = monotonic()
        if self._reconnecting is None or self._reconnecting.done():
            self._reconnecting = asyncio.create_task(self._fill())

    async def _fill(self) -> None:
        while self.statistics()["pool_size"] < self._connections:
            await asyncio.sleep(self._back_off.pause())
            await self._pool.check()  # makes it grow


def _was_not_sent(error: psycopg.Error) -> bool:
    return isinstance(error, PoolTimeout | TooManyRequests | PoolClosed | _Broken)
