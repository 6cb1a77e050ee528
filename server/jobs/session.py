"""A job's session with the database, which outlives a restart of the server.

A job lasts minutes and the server may be restarted under it. Its statements only
read (or may be repeated at no harm), so a lost connection costs a repeat and not
the run. Each statement is a transaction of its own: nothing is held over a pause,
since an old snapshot would keep vacuum from its work.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg
from psycopg.rows import namedtuple_row

from server.errors import DatabaseUnavailableError
from server.postgres.back_off import BackOff
from server.postgres.faults import is_transient
from server.postgres.sessions import TimedAsyncConnection

if TYPE_CHECKING:
    from server.cron.context import AsyncContext

Result = TypeVar("Result")
Connection = TimedAsyncConnection

# What every transaction of a session refuses, and in which time it ends.
ONLY_READ = {"default_transaction_read_only": "on", "statement_timeout": "60s", "lock_timeout": "5s"}
PATIENCE_SECONDS = 60.0
RETRY_SECONDS_MAX = 2.0


class Session:
    """One connection at a time, opened when needed; an async context manager."""

    def __init__(self, context: AsyncContext, *, read_only: bool = True) -> None:
        self._context = context
        self._read_only = read_only
        self._connection: Connection | None = None

    async def __aenter__(self) -> Session:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    async def rows(self, statement: str, params: Mapping[str, Any] | None = None) -> list[Any]:
        """All rows of one statement, as named tuples."""

        async def fetch(connection: Connection) -> list[Any]:
            return list(await (await connection.execute(statement, params)).fetchall())

        return await self.attempt(fetch)

    async def row(self, statement: str, params: Mapping[str, Any] | None = None) -> Any:
        """The one row that the statement always returns."""
        return (await self.rows(statement, params))[0]

    async def attempt(self, work: Callable[[Connection], Awaitable[Result]]) -> Result:
        """Does `work`, which may be repeated, until it succeeds.

        Raises its error when waiting would not mend it, or after PATIENCE_SECONDS.
        """
        deadline = monotonic() + PATIENCE_SECONDS
        back_off = BackOff(RETRY_SECONDS_MAX)
        while True:
            try:
                return await work(await self._opened())
            except (psycopg.Error, DatabaseUnavailableError) as error:
                may_pass = not isinstance(error, psycopg.Error) or is_transient(error)
                pause_seconds = back_off.pause()
                if not may_pass or monotonic() + pause_seconds >= deadline:
                    raise
            await self._close()
            await self._context.sleep(pause_seconds)

    async def _opened(self) -> Connection:
        if self._connection is None:
            connection = await self._context.connect()
            self._connection = connection
            await connection.set_autocommit(True)
            connection.row_factory = namedtuple_row
            if self._read_only:
                await connection.change_settings(ONLY_READ)
        return self._connection

    async def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            # A connection that broke may fail to close, too; it is gone either way.
            with suppress(psycopg.Error):
                await connection.close()
