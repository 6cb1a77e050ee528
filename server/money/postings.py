"""What waits for the database: single movements and lists of them, and what it decided."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from server.errors import DatabaseUnavailableError, RingfenceError
from server.money.refusals import (
    AccountBusyError,
    IdempotencyConflictError,
    NotSentError,
    OutcomeUnknownError,
)


class Posted(NamedTuple):
    """What the database decided about one movement. outcome: see post_batch.sql."""

    outcome: str
    balance: int | None
    entry_id: int | None
    replayed: bool
    request_id: str


@dataclass(frozen=True, slots=True)
class Wish:
    """How a client wants its request to be treated.

    key: its Idempotency-Key; client: whose key it is, '' as long as there are no
        tokens. is_wanted: asked just before the request is sent; False drops it.
    trace: the context of the request's span, while requests are traced.
    """

    key: str | None = None
    client: str = ""
    is_wanted: Callable[[], bool] | None = None
    trace: Any = None


NO_WISH = Wish()


@dataclass(eq=False, slots=True, kw_only=True)
class Request:
    """One request on its way; `answer` gets its outcomes, one for each movement, or an error.

    deadline: monotonic seconds. in_doubt: the connection broke after it was sent, so
    it may have taken effect. is_sent: it is being sent now. is_locked: somebody else
    held its account when it was last sent. behind: the request with the same key,
    or the same one with the same request id, that came before it. is_repeatable:
    whether another one can have its key or id. queued_at: monotonic seconds; when it
    last joined the queue.
    """

    deadline: float
    answer: "asyncio.Future[list[Posted]]"
    wish: Wish = NO_WISH
    queued_at: float = 0.0
    in_doubt: bool = False
    is_sent: bool = False
    is_locked: bool = False
    behind: "Request | None" = None
    is_repeatable: bool = True

    @property
    def size(self) -> int:
        """How many movements it is."""
        raise NotImplementedError

    @property
    def name(self) -> str:
        """The request id to ask about."""
        raise NotImplementedError

    @property
    def users(self) -> Sequence[int]:
        """Whose accounts it moves."""
        raise NotImplementedError

    @property
    def place(self) -> object:
        """What its repetitions have in common with it: the key, or else the request id."""
        return self.name if self.wish.key is None else (self.wish.client, self.wish.key)

    @property
    def content(self) -> object:
        """What makes a request with its key or id a repetition, and not another one."""
        raise NotImplementedError

    def answer_as(self, first: Sequence[Posted]) -> None:
        """Answers a repetition as the database would have, right after the first one."""
        if not self.answer.done():
            self.answer.set_result([one._replace(replayed=self._is_replay_of(one)) for one in first])

    def _is_replay_of(self, first: Posted) -> bool:
        # A refusal is kept with a key alone; but the second look at once comes to the same.
        return first.outcome == "posted" or (self.wish.key is not None and first.outcome != "key_reused")

    def fail(self, error: Exception) -> None:
        """Answers with an error, unless there is an answer already."""
        if not self.answer.done():
            self.answer.set_exception(error)

    def expire(self, *, is_reachable: bool) -> None:
        """Answers what is known at the deadline. is_reachable: whether there is a connection."""
        self.fail(self._why_expired(is_reachable=is_reachable))

    def _why_expired(self, *, is_reachable: bool) -> RingfenceError:
        if self.is_sent or self.in_doubt:
            return OutcomeUnknownError(self.name)
        if self.behind is not None and self.behind.is_undecided:
            key = self.wish.key
            return OutcomeUnknownError(self.name) if key is None else IdempotencyConflictError(key)
        if self.is_locked:
            return AccountBusyError(self.users)
        if not is_reachable:
            return DatabaseUnavailableError("no connection until the movement's deadline")
        return NotSentError()

    @property
    def is_undecided(self) -> bool:
        """Whether the database may still decide it, or has without telling us."""
        if not self.answer.done():
            return True
        return self.answer.cancelled() or isinstance(self.answer.exception(), OutcomeUnknownError)


@dataclass(eq=False, slots=True, kw_only=True)
class Posting(Request):
    """One movement. amount: signed minor units."""

    user_id: int
    amount: int
    request_id: str

    @property
    def size(self) -> int:
        return 1

    @property
    def name(self) -> str:
        return self.request_id

    @property
    def users(self) -> Sequence[int]:
        return (self.user_id,)

    @property
    def content(self) -> object:
        return self.user_id, self.amount


@dataclass(eq=False, slots=True, kw_only=True)
class Listing(Request):
    """A list of movements, decided in one transaction.

    fingerprint: a UUID that stands for the whole content; compared where a key is
        seen again.
    """

    user_ids: list[int]
    amounts: list[int]
    request_ids: list[str]
    fingerprint: str
    patient_at: float = 0.0
    patience_seconds: float = 1.0

    def waited_in_vain(self, now: float) -> None:
        """Lets others go first for a while."""
        self.patient_at = now + self.patience_seconds
        self.patience_seconds *= 2

    @property
    def size(self) -> int:
        return len(self.user_ids)

    @property
    def name(self) -> str:
        return self.request_ids[0]

    @property
    def users(self) -> Sequence[int]:
        return self.user_ids

    @property
    def content(self) -> object:
        # The ids as well: those that the client left to us are new each time.
        return self.fingerprint, self.request_ids
