"""Connections that see to it that their server settings hold, pooler or not.

What is to be executed, and why, says session_settings.py. This module executes it: when a
connection begins, and behind a pooler before the first statement of each transaction. With
autocommit both go in one pipeline, which the server takes for one transaction, so that costs
no way to the server and back. A cursor of one's own, and `connection.transaction()`, go past
that: behind a pooler they get no settings. Where the commit itself is refused the connection is closed.
"""

from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg.abc import Params, QueryNoTemplate
from psycopg.pq import PipelineStatus, TransactionStatus
from psycopg.rows import tuple_row

from server.postgres.session_settings import SessionSettings

Row = Any
"""A named tuple whose names are those of the statement's columns, which no type checker knows."""


class _Settled:
    """What both kinds have."""

    pgconn: psycopg.pq.abc.PGconn
    prepare_threshold: int | None
    _settings: SessionSettings | None = None

    @property
    def is_pooled(self) -> bool:
        """Whether there is a pooler between, so that no two transactions need be of one session."""
        return self._settings is not None and self._settings.is_pooled

    def _begun(self, settings: SessionSettings, is_pooled: bool, isolation: str) -> None:
        settings.begun(is_pooled, isolation)
        self._settings = settings
        if is_pooled:
            self.prepare_threshold = None  # the next transaction's session would not know it

    def _begins_transaction(self) -> SessionSettings | None:
        """What has to be sent before the next statement, if anything."""
        if self.is_pooled and self.pgconn.transaction_status == TransactionStatus.IDLE:
            return self._settings
        return None

    def _tell_of_commit(self, error: psycopg.OperationalError) -> None:
        """Raises what the server said of the commit, such as a deferred trigger's error.

        The driver can't leave the pipeline then, and tells of that alone, as if the connection were
        lost. The session is closed, since nothing more can be asked over it.
        """
        if self.pgconn.pipeline_status == PipelineStatus.OFF:
            return
        self.pgconn.finish()
        said = error.__context__
        if isinstance(said, psycopg.Error):
            raise said from None


class SettledConnection(_Settled, psycopg.Connection[Row]):
    """A blocking one."""

    def settle(self, wanted: Mapping[str, str]) -> None:
        """To be called first, with autocommit. Raises psycopg.Error."""
        settings = SessionSettings(wanted)
        with self.cursor(row_factory=tuple_row) as cursor:
            cursor.execute(*settings.begin(self.info.backend_pid), prepare=False)
            ((is_pooled, isolation, _),) = cursor.fetchall()
        self._begun(settings, is_pooled, isolation)

    def change_settings(self, settings: Mapping[str, str]) -> None:
        """Other server settings from the next transaction on."""
        assert self._settings is not None, "settle() comes first"
        command = self._settings.change(settings)
        if command is not None:
            super().execute(*command)

    def execute(  # type: ignore[override]  # no templates, which Python has from 3.14 on
        self,
        query: QueryNoTemplate,
        params: Params | None = None,
        *,
        prepare: bool | None = None,
        binary: bool = False,
    ) -> psycopg.Cursor[Row]:
        settings = self._begins_transaction()
        if settings is None:
            return super().execute(query, params, prepare=prepare, binary=binary)
        if not self.autocommit:
            super().execute(*settings.with_transaction(), prepare=False)
            return super().execute(query, params, prepare=False, binary=binary)
        try:
            with self.pipeline():
                super().execute(*settings.with_transaction(), prepare=False)
                return super().execute(query, params, prepare=False, binary=binary)
        except psycopg.OperationalError as error:
            self._tell_of_commit(error)
            raise


class SettledAsyncConnection(_Settled, psycopg.AsyncConnection[Row]):
    """One of the event loop."""

    async def settle(self, wanted: Mapping[str, str]) -> None:
        """To be called first, with autocommit. Raises psycopg.Error."""
        settings = SessionSettings(wanted)
        async with self.cursor(row_factory=tuple_row) as cursor:
            await cursor.execute(*settings.begin(self.info.backend_pid), prepare=False)
            ((is_pooled, isolation, _),) = await cursor.fetchall()
        self._begun(settings, is_pooled, isolation)

    async def change_settings(self, settings: Mapping[str, str]) -> None:
        """Other server settings from the next transaction on."""
        assert self._settings is not None, "settle() comes first"
        command = self._settings.change(settings)
        if command is not None:
            await super().execute(*command)

    async def execute(  # type: ignore[override]  # as above
        self,
        query: QueryNoTemplate,
        params: Params | None = None,
        *,
        prepare: bool | None = None,
        binary: bool = False,
    ) -> psycopg.AsyncCursor[Row]:
        settings = self._begins_transaction()
        if settings is None:
            return await super().execute(query, params, prepare=prepare, binary=binary)
        if not self.autocommit:
            await super().execute(*settings.with_transaction(), prepare=False)
            return await super().execute(query, params, prepare=False, binary=binary)
        try:
            async with self.pipeline():
                await super().execute(*settings.with_transaction(), prepare=False)
                return await super().execute(query, params, prepare=False, binary=binary)
        except psycopg.OperationalError as error:
            self._tell_of_commit(error)
            raise
