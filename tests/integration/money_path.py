"""The money path below HTTP: a batcher, its connection, and a record of what went over it."""

import asyncio
import os
import signal
from collections.abc import Sequence
from contextlib import contextmanager
from time import monotonic
from uuid import uuid4

import psycopg

from server.money.batcher import Batcher
from server.money.poster import Poster
from server.money.postings import NO_WISH, Listing, Posted, Posting, Wish


class Recorder:
    """The real poster; notes each call, and can hold a connect or lose an answer that had come.

    calls: (name, movements) of each; most_at_once: how many were under way together.
    """

    def __init__(self, poster: Poster) -> None:
        self._poster = poster
        self._under_way = 0
        self.calls: list[tuple[str, int]] = []
        self.most_at_once = 0
        self.was_called = asyncio.Event()
        self.was_asked_to_connect = asyncio.Event()
        self.may_connect = asyncio.Event()
        self.may_connect.set()
        self.answers_to_lose = 0

    @property
    def is_connected(self) -> bool:
        return self._poster.is_connected

    async def connect(self) -> None:
        self.was_asked_to_connect.set()
        await self.may_connect.wait()
        await self._poster.connect()

    async def post_one(self, posting, **how) -> Posted:
        return await self._recorded("post_one", 1, self._poster.post_one(posting, **how))

    async def post(self, postings, **how) -> list[Posted]:
        return await self._recorded("post", len(postings), self._poster.post(postings, **how))

    async def post_list(self, listing, **how) -> list[Posted]:
        return await self._recorded("post_list", listing.size, self._poster.post_list(listing, **how))

    async def reset(self) -> None:
        await self._poster.reset()

    async def _recorded(self, name, movements, call):
        self.calls.append((name, movements))
        self._under_way += 1
        self.most_at_once = max(self.most_at_once, self._under_way)
        self.was_called.set()
        try:
            found = await call
        finally:
            self._under_way -= 1
        if self.answers_to_lose:
            self.answers_to_lose -= 1
            raise psycopg.OperationalError("the answer was lost")
        return found


class MoneyPath:
    """One node's way for money; starts and stops with the test's loop."""

    def __init__(self, url: str, *, deadline_seconds: float = 20.0) -> None:
        self.deadline_seconds = deadline_seconds
        self.poster = Poster(url, "money path of a test", deadline_seconds)
        self.sender = Recorder(self.poster)
        self.batcher = Batcher(self.sender)

    async def start(self) -> None:
        self.running = asyncio.create_task(self.batcher.run())

    async def stop(self) -> None:
        self.running.cancel()
        await asyncio.wait({self.running})
        await self.poster.reset()

    def move(
        self, user_id: int, amount: int, wish: Wish = NO_WISH, request_id: object = None, **times
    ) -> "asyncio.Future[list[Posted]]":
        """times: seconds until the deadline."""
        return self._submit(
            Posting,
            times,
            wish=wish,
            user_id=user_id,
            amount=amount,
            request_id=str(request_id or uuid4()),
        )

    def move_all(
        self, user_ids: Sequence[int], amount: int, wish: Wish = NO_WISH
    ) -> "asyncio.Future[list[Posted]]":
        """The same movement for each, as one list."""
        return self._submit(
            Listing,
            {},
            wish=wish,
            user_ids=list(user_ids),
            amounts=[amount] * len(user_ids),
            request_ids=[str(uuid4()) for _ in user_ids],
            fingerprint=str(uuid4()),
        )

    def _submit(self, kind, times, **members):
        answer = asyncio.get_running_loop().create_future()
        deadline = monotonic() + times.get("seconds", self.deadline_seconds)
        self.batcher.submit(kind(deadline=deadline, answer=answer, **members))
        return answer

    async def outcome(self, *what, **how) -> tuple[str, int | None]:
        """A movement's outcome and balance. Raises its error."""
        (posted,) = await self.move(*what, **how)
        return posted.outcome, posted.balance

    async def backend(self) -> int:
        """The pid of the server process behind the connection, which is made if need be."""
        if not self.poster.is_connected:
            await self.outcome(10**12, -1)
        return self.poster._connection.info.backend_pid

    async def until_sent(self) -> None:
        """Returns when the next call of the poster is under way."""
        self.sender.was_called.clear()
        await self.sender.was_called.wait()


async def answers(futures) -> list[object]:
    """What each came to: (outcome, balance) of its first movement, or the class of its error."""
    done = await asyncio.gather(*futures, return_exceptions=True)
    return [type(one) if isinstance(one, Exception) else (one[0].outcome, one[0].balance) for one in done]


@contextmanager
def held(database, *user_ids: int):
    """Another transaction that holds these accounts; yields its connection, to end it."""
    with psycopg.connect(database.direct_url) as rival:
        for user_id in user_ids:
            rival.execute("select * from deposit(%s, 1)", [user_id])
        yield rival
        rival.rollback()


@contextmanager
def frozen(pid: int):
    """A server process that does nothing until the end of the block."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
