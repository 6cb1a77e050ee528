"""Micro-batching: what arrives while a batch is under way forms the next one.

Formula
    One batch in flight, no timer. A lone request waits for nobody and is sent as
    it is; a crowd shares one lock, one plan and one flush to disk. A repetition of a
    request that is on its way gets that one's answer (see waiting.py).

States of a request
    queued ──> sent ──> answered
       │         └────> unanswered at its deadline: OutcomeUnknownError
       ├──────────────> expired before it was sent: NotSentError, nothing happened
       └──────────────> its client has gone before it was sent: dropped

Failures
    connection lost              the batch is sent again with the same request ids until
                                 each request's deadline: what had taken effect is
                                 replayed, the rest takes effect now
    deadlock, another's id or    the same, CONFLICTS_MAX times
    key at this very moment, a
    plan that a migration ended
    a row that somebody holds    sent again with SKIP LOCKED; only the requests on locked
                                 rows wait, at the end of the queue. A list waits there
                                 too, and now and then in the rows' own queues
    an id or key that somebody   the batch is halved until the one that waits for it is
    holds, on another account    alone, and waits in the same way
    an error about the data      the batch is halved until the culprit is alone; it gets
                                 the error, everybody else an answer
    any other error              the batch gets it, once in the log, and nobody else

Limits
    See waiting.py: how much may wait, for how long, and how much is sent at once.
"""

import asyncio
import random
from collections.abc import Coroutine, Sequence
from time import monotonic
from typing import Any, TypeVar

import psycopg
import structlog

from server import tracing
from server.errors import UnexpectedError
from server.money.figures import MoneyFigures
from server.money.incidents import Incidents
from server.money.postings import Listing, Posted, Posting, Request
from server.money.pulse import Tally
from server.money.refusals import OutcomeUnknownError
from server.money.sender import Sender
from server.money.waiting import Waiting
from server.postgres.faults import (
    Fault,
    classify,
    is_about_the_data,
    is_conflict,
    is_outage,
    is_stale_session,
    is_transient,
    reason_of,
)

CONFLICTS_MAX = 5
EXPIRY_SECONDS = 0.25  # how often a stuck batch looks for requests that are out of time
BACK_OFF_SECONDS_MAX = 0.5
CANCEL_SECONDS_MAX = 1.0  # a server that went silent does not hear of it

Result = TypeVar("Result")
log = structlog.get_logger(__name__)


class Batcher:
    """Sends what waits, one batch after the other."""

    def __init__(self, sender: Sender) -> None:
        self.waiting = Waiting()
        self.batches = 0
        self.movements = 0
        self.figures = MoneyFigures()
        self.tally = Tally()
        self._sender = sender
        self._incidents = Incidents()
        self._taken: Sequence[Request] = ()
        self._locked_users: set[int] = set()
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def under_way(self) -> list[Request]:
        """The requests that are being sent now."""
        return [request for request in self._taken if request.is_sent]

    def submit(self, request: Request) -> None:
        """Queues a request; its `answer` gets the outcome or the error. Raises OverloadedError."""
        self.waiting.add(request)
        self._idle.clear()

    async def run(self) -> None:
        """Sends batch after batch until it is cancelled; then the rest is told what is known of it."""
        try:
            while True:
                await self.waiting.arrived.wait()
                await self._send_next()
                if self.waiting.is_empty:
                    self._idle.set()
        finally:
            self._expire(None)

    async def drained(self) -> None:
        """Returns when everything that was queued has its answer."""
        await self._idle.wait()

    async def _send_next(self) -> None:
        self._taken = batch = self.waiting.take()
        if not batch:
            return
        self._incidents.clear()
        try:
            await self._send(batch)
        except Exception as error:
            # A defect of ours must cost its batch, and not the money path.
            self._fail_all(batch, error)
        self._taken = ()

    async def _send(self, batch: list[Request], *, skip_locked: bool = False) -> None:
        """Sends a batch until it has its outcomes, its error, or no request that may be sent."""
        conflicts = 0
        if self._locked_users and not skip_locked:
            skip_locked = any(not self._locked_users.isdisjoint(request.users) for request in batch)
        while batch := [request for request in batch if self.waiting.may_be_sent(request, monotonic())]:
            try:
                if not self._sender.is_connected:
                    await self._watched(self._sender.connect())
                    continue  # that may have taken long: who is still there, and in time?
                outcomes = await self._watched(self._call(batch, skip_locked=skip_locked))
            except asyncio.CancelledError:
                _doubt(batch)
                raise
            except psycopg.Error as error:
                conflicts += is_conflict(error) or is_stale_session(error)
                if classify(error) is Fault.ROW_LOCKED and not skip_locked and isinstance(batch[0], Posting):
                    skip_locked = True
                    self.figures.repeats[Fault.ROW_LOCKED] += 1
                elif _may_be_repeated(error, conflicts):
                    await self._before_repeating(batch, error)
                else:
                    await self._fail(batch, error, skip_locked=skip_locked)
                    return
            else:
                self.waiting.is_reachable = True
                self._deliver(batch, outcomes)
                return

    async def _watched(self, work: Coroutine[Any, Any, Result]) -> Result:
        """One call; meanwhile requests that are out of time are told so."""
        call = asyncio.ensure_future(work)
        try:
            while not call.done():
                await asyncio.wait({call}, timeout=EXPIRY_SECONDS)
                if not call.done():
                    self._expire(monotonic())
            return call.result()
        finally:
            if not call.done():
                # Only when this batcher is cancelled. Or it might leave a connection behind.
                call.cancel()
                await asyncio.wait({call}, timeout=CANCEL_SECONDS_MAX)

    async def _call(self, batch: list[Request], *, skip_locked: bool) -> list[list[Posted]]:
        began = monotonic()
        seconds = max(request.deadline for request in batch) - began
        for request in batch:
            request.is_sent = True
        try:
            if tracing.tracer is None:
                return await self._post(batch, skip_locked=skip_locked, seconds=seconds)
            with tracing.batch((request.wish.trace for request in batch), _size(batch)):
                return await self._post(batch, skip_locked=skip_locked, seconds=seconds)
        finally:
            self.figures.call_seconds.observe(monotonic() - began)
            for request in batch:
                request.is_sent = False

    async def _post(self, batch: list[Request], *, skip_locked: bool, seconds: float) -> list[list[Posted]]:
        head = batch[0]
        if isinstance(head, Listing):
            return [await self._post_list(head, seconds)]
        postings = [request for request in batch if isinstance(request, Posting)]
        if len(postings) == 1 and postings[0].wish.key is None and not skip_locked:
            return [[await self._sender.post_one(postings[0], seconds=seconds)]]
        outcomes = await self._sender.post(postings, skip_locked=skip_locked, seconds=seconds)
        return [[posted] for posted in outcomes]

    async def _post_list(self, listing: Listing, seconds: float) -> list[Posted]:
        """Waits for its accounts in their queues, or lists would starve each other; but not all the time."""
        skip_locked = monotonic() < listing.patient_at
        try:
            return await self._sender.post_list(listing, skip_locked=skip_locked, seconds=seconds)
        except psycopg.Error as error:
            if classify(error) is Fault.ROW_LOCKED and not skip_locked:
                listing.waited_in_vain(monotonic())
            raise

    def _expire(self, now: float | None) -> None:
        """Tells those whose deadline has passed, or everybody, what is known."""
        for request in (*self._taken, *self.waiting):
            if now is None or request.deadline <= now:
                request.expire(is_reachable=self.waiting.is_reachable)

    async def _before_repeating(self, batch: Sequence[Request], error: psycopg.Error) -> None:
        fault = classify(error)
        self.figures.repeats[fault] += 1
        if fault is Fault.CONNECTION_LOST:
            _doubt(batch)
        if is_outage(error):
            self.waiting.is_reachable = False
        log.debug("movements are sent again", movements=len(batch), error=reason_of(error))
        self._expire(monotonic())
        if not is_conflict(error):
            await self._sender.reset()
        await asyncio.sleep(BACK_OFF_SECONDS_MAX * random.uniform(0.02, 1.0))  # noqa: S311 jitter, no secret

    async def _fail(self, batch: list[Request], error: psycopg.Error, *, skip_locked: bool) -> None:
        """Finds whose fault it is, where it can be that of one among many."""
        is_locked = classify(error) is Fault.ROW_LOCKED
        if len(batch) > 1 and (is_locked or is_about_the_data(error)):
            middle = len(batch) // 2
            await self._send(batch[:middle], skip_locked=skip_locked)
            await self._send(batch[middle:], skip_locked=skip_locked)
        elif is_locked:
            self._wait_for_lock(batch[0])
        else:
            self._fail_all(batch, error)
            # It may be the session's: a plan that a migration made void, say.
            await self._sender.reset()

    def _fail_all(self, batch: Sequence[Request], error: Exception) -> None:
        """One line in the log for all whom this error meets in one batch; their answers name it."""
        instance = self._incidents.instance_of(error, batch)
        for request in batch:
            # What an earlier sending did is not known, whatever this one came to.
            request.fail(OutcomeUnknownError(request.name) if request.in_doubt else UnexpectedError(instance))

    def _deliver(self, batch: Sequence[Request], outcomes: list[list[Posted]]) -> None:
        self.batches += 1
        self.figures.batch_movements.observe(_size(batch))
        self.tally.add(batch, outcomes)
        for request, posted in zip(batch, outcomes, strict=True):
            if posted[0].outcome == "locked":
                self._wait_for_lock(request)
                continue
            self.movements += request.size
            if self._locked_users:
                self._locked_users.difference_update(request.users)
            if not request.answer.done():
                request.answer.set_result(posted)

    def _wait_for_lock(self, request: Request) -> None:
        if isinstance(request, Posting):
            self._locked_users.add(request.user_id)
        self.waiting.come_back(request)


def _may_be_repeated(error: psycopg.Error, conflicts: int) -> bool:
    """Whether the batch as it is may have its outcomes next time; conflicts: how many it had."""
    if is_conflict(error) or is_stale_session(error):
        return conflicts <= CONFLICTS_MAX
    return is_transient(error) and classify(error) is not Fault.ROW_LOCKED


def _size(batch: Sequence[Request]) -> int:
    """How many movements a batch is: a list goes alone, and a posting is one."""
    return batch[0].size if len(batch) == 1 else len(batch)


def _doubt(batch: Sequence[Request]) -> None:
    for request in batch:
        request.in_doubt = True
