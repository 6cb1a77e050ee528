"""The tokens as one node knows them: held in memory, so that checking one costs no query.

Authority   the table `tokens`, and the database's clock for their expiry.
Fresh       read again on each NOTIFY token_events, whenever the listener comes back, and
            anyway: every LOOK_SECONDS, every second while the listener is deaf.
Doubt       closes: until they were read once, nobody is let in (503). Later, while the
            database is away, those that were valid stay so: what they could do without
            the database is to read this node's figures.

    what happened                    what the holder of the token gets
    -------------------------------  ------------------------------------------------
    never read                       DatabaseUnavailableError (503)
    unknown, revoked, expired        InvalidTokenError (401); the log has the reason
    revoked a moment ago             the same, once this node heard of it: 1 s at most,
                                     LOOK_SECONDS where the listener is deaf unawares
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from hmac import compare_digest

import psycopg
import structlog

from server.access.refusals import InvalidTokenError
from server.access.tokens import Caller, digest_of, id_in
from server.errors import DatabaseUnavailableError
from server.postgres.connections import Database
from server.postgres.sessions import Row
from server.postgres.statements import load
from server.waking import Waker

LOOK_SECONDS = 5.0
DEAF_LOOK_SECONDS = 1.0
MARK_SECONDS = 60.0

_STATEMENTS = load("server.access", "tokens.sql")
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Held:
    """One token. ends_at: on this node's clock, which counts what the host slept through."""

    caller: Caller
    digest: bytes
    is_revoked: bool
    ends_at: float


# Of no token: an unknown id takes the same steps as a wrong secret.
_NOBODY = _Held(Caller("", "", frozenset()), bytes(32), is_revoked=True, ends_at=0.0)


class Keyring:
    """Tells who holds a token; see above.

    is_told: whether notifications arrive, as far as is known. changed: called whenever the
        tokens are others than before.
    """

    def __init__(
        self,
        database: Database,
        is_told: Callable[[], bool] = lambda: False,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._database = database
        self._is_told = is_told
        self._changed = changed
        self._waker = Waker()
        self._held: dict[str, _Held] | None = None
        self._used: set[str] = set()
        self._marked_at = float("-inf")

    async def is_empty(self) -> bool:
        """Whether every token there ever was is revoked. Raises DatabaseUnavailableError.

        Those that have only expired count: that is no reason to let no task run after a restart.
        """
        return not (await self._database.row(_STATEMENTS["any"])).found

    def holder(self, token: str) -> Caller:
        """Who holds a token.

        Raises InvalidTokenError; DatabaseUnavailableError while the tokens are not known.
        """
        if self._held is None:
            raise DatabaseUnavailableError("The tokens were not read yet.")
        token_id = id_in(token)
        held = self._held.get(token_id or "", _NOBODY)
        if token_id is None or not compare_digest(digest_of(token), held.digest):
            raise InvalidTokenError("unknown" if held is _NOBODY else "wrong secret", token_id)
        self._check_force(held)
        self._used.add(token_id)
        return held.caller

    def is_in_force(self, caller: Caller) -> bool:
        """Whether one who was let in would be let in again, by the same token."""
        held = (self._held or {}).get(caller.token)
        if held is None:
            return not caller.token
        return not held.is_revoked and _boot_time() < held.ends_at

    def wake(self) -> None:
        """Something was told, or the listener is back: read again."""
        self._waker.wake()

    async def read(self) -> None:
        """Reads the tokens. Raises DatabaseUnavailableError."""
        # Before asking, so that no token lasts longer than the database would let it.
        asked_at = _boot_time()
        rows = await self._database.rows(_STATEMENTS["kept"])
        held = {row.id: _held(row, asked_at) for row in rows}
        is_news = self._held is None or _without_clocks(held) != _without_clocks(self._held)
        self._held = held
        if is_news:
            self._changed()

    async def run(self) -> None:
        """Keeps the tokens fresh until it is cancelled."""
        is_away = False
        while True:
            try:
                await self.read()
                await self._mark_used()
                is_away = False
            except DatabaseUnavailableError as error:
                log.debug("the tokens wait for the database", error=str(error))
                is_away = True
            except psycopg.Error as error:
                if not is_away:
                    log.warning("the tokens can't be read", error=str(error))
                is_away = True
            deaf = is_away or not self._is_told()
            await self._waker.rest(DEAF_LOOK_SECONDS if deaf else LOOK_SECONDS)

    async def _mark_used(self) -> None:
        if not self._used or _boot_time() - self._marked_at < MARK_SECONDS:
            return
        used, self._used = self._used, set()
        self._marked_at = _boot_time()
        try:
            await self._database.rows(_STATEMENTS["mark_used"], {"ids": sorted(used)})
        except BaseException:
            self._used |= used  # they are told with the next ones
            raise

    def _check_force(self, held: _Held) -> None:
        if held.is_revoked:
            raise InvalidTokenError("revoked", held.caller.token)
        if _boot_time() >= held.ends_at:
            raise InvalidTokenError("expired", held.caller.token)


def _held(row: Row, asked_at: float) -> _Held:
    return _Held(
        caller=Caller(row.id, row.name, frozenset(row.scopes), row.user_id, row.expires_at),
        digest=bytes(row.digest),
        is_revoked=row.is_revoked,
        ends_at=float("inf") if row.seconds_left is None else asked_at + row.seconds_left,
    )


def _without_clocks(held: dict[str, _Held]) -> dict[str, tuple[Caller, bytes, bool]]:
    return {name: (one.caller, one.digest, one.is_revoked) for name, one in held.items()}


def _boot_time() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)
