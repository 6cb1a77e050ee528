"""The queue before the batcher: what waits, in which order it is sent, and how much may wait."""

import asyncio
from collections import deque
from collections.abc import Iterator
from time import monotonic

from server.errors import OverloadedError
from server.money.postings import Listing, Posted, Posting, Request
from server.money.refusals import NotSentError

QUEUE_MOVEMENTS_MAX = 100_000  # ten of the largest lists; two or three seconds of work
QUEUE_SECONDS_MAX = 8.0
BATCH_MOVEMENTS_MAX = 5_000
SEND_SECONDS_MIN = 0.05  # a request with less than this left is not sent any more
LOCKED_PAUSE_SECONDS = 0.05  # until a request on a locked row is tried again


class Waiting:
    """The requests of one node that wait to be sent, oldest first.

    is_reachable: whether the last word about the database was that it can be reached;
        kept by the batcher, and told to requests that expire here.
    """

    def __init__(self) -> None:
        self.arrived = asyncio.Event()
        self.is_reachable = True
        self._queue: deque[Request] = deque()
        self._movements = 0
        self._away = 0  # requests that wait for a locked row, outside the queue
        self._first: dict[object, Request] = {}  # by place, until they are answered
        self._twins: set[Request] = set()  # wait for the answer of their first, outside the queue

    def __iter__(self) -> Iterator[Request]:
        yield from self._queue
        yield from self._twins

    @property
    def movements(self) -> int:
        """How many movements wait."""
        return self._movements

    @property
    def oldest_seconds(self) -> float:
        """How long the queue's head has stood in it; 0 when it is empty.

        One that comes back from a locked row begins anew: what it waited for is the
        row, and the queue moves.
        """
        return monotonic() - self._queue[0].queued_at if self._queue else 0.0

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits, for a locked row or another's answer neither."""
        return not self._queue and not self._away and not self._twins

    def add(self, request: Request) -> None:
        """Queues a request. Raises OverloadedError when the queue is full or does not move."""
        if self._movements + request.size > QUEUE_MOVEMENTS_MAX or self.oldest_seconds > QUEUE_SECONDS_MAX:
            raise OverloadedError(self._movements)
        self._enter(request)

    def come_back(self, request: Request) -> None:
        """Queues a request again, in a moment: somebody else held its account."""
        request.is_locked = True
        self._away += 1
        self._movements += request.size

        def append() -> None:
            self._away -= 1
            self._movements -= request.size
            self._append(request)

        asyncio.get_running_loop().call_later(LOCKED_PAUSE_SECONDS, append)

    def take(self) -> list[Request]:
        """The next batch: a listing alone, or postings up to the next listing.

        A request id or a key that is in the batch already waits for the one after.
        """
        batch: list[Request] = []
        later: list[Request] = []
        taken: set[object] = set()
        now = monotonic()
        while self._queue and len(batch) < BATCH_MOVEMENTS_MAX:
            request = self._queue[0]
            if isinstance(request, Listing) and (batch or later):
                break
            self._queue.popleft()
            if not self.may_be_sent(request, now):
                self._movements -= request.size
            elif isinstance(request, Posting) and _is_taken(request, taken):
                later.append(request)
            else:
                self._movements -= request.size
                batch.append(request)
                if isinstance(request, Listing):
                    break
        for request in later:
            request.queued_at = now  # the queue has moved past it
        self._queue.extendleft(reversed(later))
        if not self._queue:
            self.arrived.clear()
        return batch

    def may_be_sent(self, request: Request, now: float) -> bool:
        """Whether it is still wanted and in time; else it gets its answer here."""
        if request.answer.done():
            return False
        is_wanted = request.wish.is_wanted
        if is_wanted is not None and not request.in_doubt and not is_wanted():
            request.fail(NotSentError())  # to a client that has gone
            return False
        if request.deadline - now < SEND_SECONDS_MIN:
            request.expire(is_reachable=self.is_reachable)
            return False
        return True

    def _append(self, request: Request) -> None:
        request.queued_at = monotonic()
        self._queue.append(request)
        self._movements += request.size
        self.arrived.set()

    def _enter(self, request: Request) -> None:
        if not request.is_repeatable:
            self._append(request)
            return
        first = self._first_of(request)
        is_twin = first is not None and first.content == request.content
        if request.behind is None and (is_twin or request.wish.key is not None):
            request.behind = first
        if first is not None and is_twin:
            self._follow(first, request)
        else:
            self._append(request)

    def _first_of(self, request: Request) -> Request | None:
        """The request with the same key or id that has no answer yet; else this one is now the first."""
        place = request.place
        first = self._first.get(place)
        if first is not None and not first.answer.done():
            return first
        self._first[place] = request

        def forget(_: object) -> None:
            request.behind = None  # or each first would keep the one before it, for ever
            if self._first.get(place) is request:
                del self._first[place]

        request.answer.add_done_callback(forget)
        return None

    def _follow(self, first: Request, twin: Request) -> None:
        """A repetition gets the answer of its first, or else its own turn.

        A crowd of them would otherwise take a batch each, since no batch holds two.
        """
        self._twins.add(twin)
        self._movements += twin.size

        def follow(answer: "asyncio.Future[list[Posted]]") -> None:
            self._twins.remove(twin)
            self._movements -= twin.size
            self.arrived.set()  # it may have been the last that was waited for
            if answer.cancelled() or answer.exception() is not None:
                self._enter(twin)
            else:
                twin.answer_as(answer.result())

        first.answer.add_done_callback(follow)


def _is_taken(posting: Posting, taken: set[object]) -> bool:
    """Whether the batch holds its id or key already; notes them if not."""
    key = posting.wish.key
    marks = {posting.request_id} if key is None else {posting.request_id, (posting.wish.client, key)}
    if not taken.isdisjoint(marks):
        return True
    taken |= marks
    return False
