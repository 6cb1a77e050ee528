"""LISTEN on a connection of its own, that finds out by itself when it is deaf."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic

import psycopg
import structlog
from psycopg import sql

from server.errors import DatabaseUnavailableError
from server.postgres.back_off import BackOff
from server.postgres.faults import reason_of
from server.postgres.profile import Profile
from server.postgres.sessions import TimedAsyncConnection
from server.postgres.statements import load

PROBE_SECONDS = 5.0
ANSWER_SECONDS_MAX = 3.0
BACK_OFF_SECONDS_MAX = 1.0

log = structlog.get_logger(__name__)


class DeafError(psycopg.OperationalError):
    """The server answers, over a session that listens to nothing."""


class Listener:
    """Calls back for every notification, and after every connect.

    Notifications that were sent while the connection was away are lost, so
    `connected` must read the truth again from its table. Every few seconds the
    connection is asked what it listens to: a half-open one would be silent for ever,
    and behind a pooler another session may answer, which hears nothing.
    """

    def __init__(
        self,
        url: str,
        name: str,
        channels: Sequence[str],
        notified: Callable[[str, str], None],
        connected: Callable[[], Awaitable[None]],
    ) -> None:
        self._profile = Profile(url, f"{name} listener", part="listener", call_seconds_max=ANSWER_SECONDS_MAX)
        self._channels = channels
        self._notified = notified
        self._connected = connected
        self.is_listening = False
        self.connects = 0
        self.notifications = 0

    async def run(self) -> None:
        """Listens until it is cancelled."""
        back_off = BackOff(BACK_OFF_SECONDS_MAX)
        while True:
            began = monotonic()
            try:
                async with await TimedAsyncConnection.open(self._profile) as connection:
                    began = monotonic()
                    await self._listen(connection)
                    await self._follow(connection)
            except (psycopg.Error, DatabaseUnavailableError) as error:
                # The latter is what `connected` says when it could not read the truth: then we start over.
                tell = (
                    log.warning if isinstance(error, DeafError) else log.debug
                )  # an outage is told by the pulse
                tell("the listener begins anew", error=reason_of(error))
                if self.is_listening:
                    back_off.lasted(monotonic() - began)
            finally:
                self.is_listening = False
            await asyncio.sleep(back_off.pause())

    async def _listen(self, connection: TimedAsyncConnection) -> None:
        for channel in self._channels:
            await connection.execute(sql.SQL("listen {}").format(sql.Identifier(channel)))
        self.is_listening = True
        self.connects += 1
        await self._connected()

    async def _follow(self, connection: TimedAsyncConnection) -> None:
        while True:
            async for notify in connection.notifies(timeout=PROBE_SECONDS):
                self.notifications += 1
                self._notified(notify.channel, notify.payload)
            await self._probe(connection)

    async def _probe(self, connection: TimedAsyncConnection) -> None:
        # Asks the server, not the socket: a middlebox may acknowledge for a dead peer.
        cursor = await connection.execute(load("server.postgres", "schema.sql")["listening_channels"])
        unheard = set(self._channels) - {channel for (channel,) in await cursor.fetchall()}
        if unheard:
            raise DeafError(
                f"this session does not listen to {', '.join(sorted(unheard))}: a pooler in transaction mode "
                f"hands its clients one session after another, so name PostgreSQL itself in database.url"
            )
