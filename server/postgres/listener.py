"""LISTEN on a connection of its own, that finds out by itself when it is deaf.

Modes
    listening    notifications come as they are sent
    polling      a pooler is between, and hands this client one session after another: what
                 a session listens to, another client's next transaction would hear. So a
                 sign of change is read every POLL_SECONDS instead
    away         there is no connection now

Notifications that were sent while the connection was away are lost, so `connected` must
read the truth again from its tables. Every few seconds the connection is asked what it
listens to: a half-open one would be silent for ever.

Whether a session behind a pooler stays ours is tried, not configured: another connection
tells this one something, and it must hear it while it does nothing. That is tried again
every TRY_AGAIN_SECONDS.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
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
POLL_SECONDS = 1.0
HEAR_SECONDS_MAX = 2.0
TRY_AGAIN_SECONDS = 300.0
TRIAL_CHANNEL = "ringfence_trial"  # nobody else says anything there

STATEMENTS = load("server.postgres", "schema.sql")
log = structlog.get_logger(__name__)


class DeafError(psycopg.OperationalError):
    """The server answers, over a session that listens to nothing."""


class Mode(StrEnum):
    """How news comes; see above."""

    LISTENING = "listening"
    POLLING = "polling"
    AWAY = "away"


@dataclass(frozen=True)
class Hearer:
    """Who is told.

    notified: of a notification, by channel and payload; of a change that was seen by
        polling, once for each channel and with an empty payload. connected: reads the truth
        again, after each connect. sign: reads what changes whenever something is notified.
    """

    notified: Callable[[str, str], None]
    connected: Callable[[], Awaitable[None]]
    sign: Callable[[], Awaitable[object]]


class Listener:
    """Tells its hearer what others notify; see above. mode: how it comes to know, now."""

    def __init__(self, url: str, name: str, channels: Sequence[str], hearer: Hearer) -> None:
        self._profile = Profile(url, f"{name} listener", part="listener", call_seconds_max=ANSWER_SECONDS_MAX)
        self._channels = channels
        self._hearer = hearer
        self.mode = Mode.AWAY
        self.connects = 0
        self.notifications = 0
        self._told_of_polling = False

    @property
    def is_listening(self) -> bool:
        """Whether notifications come as they are sent."""
        return self.mode is Mode.LISTENING

    async def run(self) -> None:
        """Listens, or polls, until it is cancelled."""
        back_off = BackOff(BACK_OFF_SECONDS_MAX)
        while True:
            began = monotonic()
            try:
                async with await TimedAsyncConnection.open(self._profile) as connection:
                    began = monotonic()
                    if not connection.is_pooled or await self._stays_ours(connection):
                        await self._listen(connection)
                        await self._follow(connection)
                await self._poll()
            except (psycopg.Error, DatabaseUnavailableError) as error:
                # The latter is what the hearer says when it could not read the truth: then we start over.
                # An outage is told by the pulse.
                tell = log.warning if isinstance(error, DeafError) else log.debug
                tell("the listener begins anew", error=reason_of(error))
                if self.mode is not Mode.AWAY:
                    back_off.lasted(monotonic() - began)
                self.mode = Mode.AWAY
                await asyncio.sleep(back_off.pause())

    async def _listen(self, connection: TimedAsyncConnection) -> None:
        for channel in self._channels:
            await connection.execute(_listen_to(channel))
        if self._told_of_polling:
            self._told_of_polling = False
            log.info("notifications come again")
        self.mode = Mode.LISTENING
        self.connects += 1
        await self._hearer.connected()

    async def _follow(self, connection: TimedAsyncConnection) -> None:
        while True:
            async for notify in connection.notifies(timeout=PROBE_SECONDS):
                self.notifications += 1
                self._hearer.notified(notify.channel, notify.payload)
            await self._probe(connection)

    async def _probe(self, connection: TimedAsyncConnection) -> None:
        # Asks the server, not the socket: a middlebox may acknowledge for a dead peer.
        cursor = await connection.execute(STATEMENTS["listening_channels"])
        unheard = set(self._channels) - {channel for (channel,) in await cursor.fetchall()}
        if unheard:
            raise DeafError(
                f"this session does not listen to {', '.join(sorted(unheard))}: a pooler in transaction mode "
                f"hands its clients one session after another, so name PostgreSQL itself in "
                f"database.listen_url"
            )

    async def _stays_ours(self, connection: TimedAsyncConnection) -> bool:
        """Whether the pooler between leaves this client its session, as one in session mode does."""
        word = secrets.token_hex(8)
        await connection.execute(_listen_to(TRIAL_CHANNEL))
        async with await TimedAsyncConnection.open(self._profile) as another:
            await another.execute(STATEMENTS["notify"], {"channel": TRIAL_CHANNEL, "payload": word})
        async for notify in connection.notifies(timeout=HEAR_SECONDS_MAX, stop_after=1):
            return notify.payload == word
        return False

    async def _poll(self) -> None:
        """Looks for a sign of change, and returns when it is time to try again to listen."""
        if not self._told_of_polling:
            self._told_of_polling = True
            log.warning(
                "there is a pooler before the database over which no notification comes: the database is "
                "asked for news all the time; name PostgreSQL itself in database.listen_url",
                seconds=POLL_SECONDS,
            )
        self.mode = Mode.POLLING
        seen = await self._hearer.sign()
        await self._hearer.connected()
        until = monotonic() + TRY_AGAIN_SECONDS
        while monotonic() < until:
            await asyncio.sleep(POLL_SECONDS)
            sign = await self._hearer.sign()
            if sign != seen:
                seen = sign
                for channel in self._channels:
                    self._hearer.notified(channel, "")


def _listen_to(channel: str) -> sql.Composed:
    return sql.SQL("listen {}").format(sql.Identifier(channel))
