"""Spreads a job's work evenly over the time that it shall last.

Promises
    Even: what is to be done at share s of the work waits until s * minimum_seconds
    have passed, so the whole never ends sooner than minimum_seconds.
    Gentle: after each piece of work the job rests as long as it worked (a second
    at most), also when it is late. A job takes half a core at most, and at the
    shipped parameters a few hundredths of one.
    Quick to stop: every pause is the context's, which a cancel ends at once.

Not promised
    An upper limit. Much data takes as long as it takes; the task's timeout is the
    limit.

The two paces differ in one word, `await`; all that can be wrong stands in Timetable.
"""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from server.cron.context import AsyncContext, Context

MINIMUM_SECONDS = 120.0
STEPS_MIN = 60
REST_SECONDS_MAX = 1.0


class Timetable:
    """When to go on, in seconds of the caller's monotonic clock. Pure."""

    def __init__(self, minimum_seconds: float, now: float) -> None:
        self._minimum_seconds = max(0.0, minimum_seconds)
        self._began_at = now
        self._resumed_at = now

    def seconds_early(self, done: float, total: float, now: float) -> float:
        """How long until `done` of `total` may have been done; 0 or less when it is late."""
        share = min(1.0, done / total) if total > 0 else 1.0
        return self._began_at + share * self._minimum_seconds - now

    def rest_seconds(self, now: float) -> float:
        """How long to rest for what was worked since the last pause.

        Limited, since a process that was stopped and continued has not worked.
        """
        return min(now - self._resumed_at, REST_SECONDS_MAX)

    def resume(self, now: float) -> None:
        """The pause is over; work begins again."""
        self._resumed_at = now


class Pace:
    """The pace of a job that is a plain function."""

    def __init__(self, context: Context, minimum_seconds: float) -> None:
        self._context = context
        self._timetable = Timetable(minimum_seconds, monotonic())

    def reached(self, done: float, total: float, message: str = "") -> None:
        """Reports how far the work has come, and sleeps until the next piece may start.

        Raises JobCancelled, as every sleep does.
        """
        self._context.progress(done, total, message)
        self.breathe()
        # A sleep may end a clock's tick too soon; the promise of minimum_seconds is exact.
        while (seconds := self._timetable.seconds_early(done, total, monotonic())) > 0:
            self._context.sleep(seconds)
        self._timetable.resume(monotonic())

    def breathe(self) -> None:
        """Rests within a long piece of work, which also lets a cancel through."""
        self._context.sleep(self._timetable.rest_seconds(monotonic()))
        self._timetable.resume(monotonic())


class AsyncPace:
    """The pace of a job that is a coroutine; see Pace."""

    def __init__(self, context: AsyncContext, minimum_seconds: float) -> None:
        self._context = context
        self._timetable = Timetable(minimum_seconds, monotonic())

    async def reached(self, done: float, total: float, message: str = "") -> None:
        """Reports how far the work has come, and sleeps until the next piece may start."""
        self._context.progress(done, total, message)
        await self.breathe()
        while (seconds := self._timetable.seconds_early(done, total, monotonic())) > 0:
            await self._context.sleep(seconds)
        self._timetable.resume(monotonic())

    async def breathe(self) -> None:
        """Rests within a long piece of work, which also lets a cancel through."""
        await self._context.sleep(self._timetable.rest_seconds(monotonic()))
        self._timetable.resume(monotonic())


@dataclass(frozen=True)
class Passes:
    """How to go over a number of items in pages, often enough to fill the time.

    Many items take one pass in full pages. Few are gone over again and again, in
    small pages: a young ledger then is checked while it changes, where one quick
    look and two minutes of sleep would check nothing.
    """

    page_items: int
    count: int

    @classmethod
    def over(cls, items: int, page_items_max: int) -> Passes:
        """A plan of at least STEPS_MIN pages in all."""
        page_items = min(max(1, -(-items // STEPS_MIN)), page_items_max)
        pages = max(1, -(-items // page_items))
        return cls(page_items, max(1, -(-STEPS_MIN // pages)))
