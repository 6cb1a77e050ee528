"""When a task runs next, and what becomes of the ticks that were missed.

A tick is a moment that the schedule names. `next_run_at` is the oldest tick
about which nothing is decided yet; the database keeps it.

Promises
    No drift: the next tick of an interval follows from the scheduled one, to
    the microsecond, in constant time even after years of outage.
    Every tick ends in exactly one decision: started, merged into the start of
    an older one (`once`), or skipped and counted, with a reason.
    A daily cron task runs exactly once each local day (see walltime.py).

Not promised
    That two nodes agree: clocks and zone data differ. Compare-and-set on the
    stored time decides which of them is heard (runs.sql).

Every datetime must be aware; every answer is in UTC.
Pure: no clock, no randomness; no I/O but that of zoneinfo, once for each zone.
"""

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from itertools import islice, takewhile
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from server.cron.walltime import in_words, ticks_after, why_impossible

PERIOD_SECONDS_MIN = 0.001
PERIOD_SECONDS_MAX = 100 * 365.25 * 86_400
TICKS_COUNTED_MAX = 10_000
"""How many ticks of a cron expression one decision looks at (some 0.1 s of work). The next decision, due at
once, goes on from there, so every skipped tick is counted all the same."""

STILL_RUNNING = "still running"

SkipKind = Literal["still_running", "missed", "beyond_missed_max"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS = {"day": 86_400, "hour": 3_600, "minute": 60, "second": 1}


def _microseconds(moment: datetime) -> int:
    if moment.tzinfo is None:
        raise ValueError(f"{moment.isoformat()} has no time zone: expected an aware datetime")
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _moment(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)


@dataclass(frozen=True)
class Every:
    """A fixed interval, kept to the microsecond, whose anchor is the scheduled time."""

    seconds: float

    def __post_init__(self) -> None:
        if not PERIOD_SECONDS_MIN <= self.seconds <= PERIOD_SECONDS_MAX:
            expected = f"expected {PERIOD_SECONDS_MIN} to {PERIOD_SECONDS_MAX:.0f}"
            raise ValueError(f"an interval of {self.seconds} seconds is not possible: {expected}")

    def following(self, scheduled: datetime, now: datetime) -> datetime:
        """The first tick after `scheduled` that is also after `now`."""
        anchor, period = _microseconds(scheduled), self._period()
        return _moment(anchor + (max(0, (_microseconds(now) - anchor) // period) + 1) * period)

    def due(self, scheduled: datetime, now: datetime) -> Sequence[int]:
        """The ticks from `scheduled` to `now`, both included, in microseconds since 1970."""
        return range(_microseconds(scheduled), _microseconds(now) + 1, self._period())

    def describe(self) -> str:
        for unit, size in _UNITS.items():
            count, rest = divmod(self.seconds, size)
            if count and not rest:
                return f"every {unit}" if count == 1 else f"every {count:.0f} {unit}s"
        return f"every {self.seconds} seconds"

    def _period(self) -> int:
        return round(self.seconds * 1_000_000)


@dataclass(frozen=True)
class Cron:
    """A cron expression in the wall time of one IANA zone.

    Five fields, or six with seconds first. As in Debian's cron, the day of the
    month *or* the weekday must match when neither begins with `*`.
    """

    expression: str
    timezone: str

    def __post_init__(self) -> None:
        try:
            ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: "Europe" names a folder
            raise ValueError(
                f"{self.timezone!r} is not a time zone: expected an IANA name such as 'Europe/Berlin'"
            ) from None
        reason = why_impossible(self.expression)
        if reason:
            raise ValueError(
                f"{self.expression!r:.250} is not a cron expression ({reason}): "
                "expected minute, hour, day of month, month and weekday, with seconds before them or without"
            )

    def following(self, scheduled: datetime, now: datetime) -> datetime:
        """The first tick after `scheduled` that is also after `now`."""
        after = max(_microseconds(scheduled), _microseconds(now))
        return next(ticks_after(self.expression, ZoneInfo(self.timezone), _moment(after)))

    def due(self, scheduled: datetime, now: datetime) -> Sequence[int]:
        """As for Every; `scheduled` may lie off the grid. The oldest TICKS_COUNTED_MAX, if there are more."""
        first, end = _microseconds(scheduled), _microseconds(now)
        later = map(_microseconds, ticks_after(self.expression, ZoneInfo(self.timezone), _moment(first)))
        return [first, *takewhile(lambda tick: tick <= end, islice(later, TICKS_COUNTED_MAX - 1))]

    def describe(self) -> str:
        words = in_words(self.expression) or f"cron {self.expression}"
        return words if words.startswith("every") else f"{words} in {self.timezone}"


Schedule = Every | Cron


@dataclass(frozen=True)
class Policy:
    """What happens to ticks that could not start in time.

    `once`  one run stands for all of them.
    `skip`  those later than the grace (or one period, if that is less) are skipped.
    `all`   each runs, one after the other; of more than `ticks_max` the newest.

    `jitter_seconds` is how far the stored times lie behind the schedule's round ones.
    """

    missed: Literal["once", "skip", "all"] = "once"
    ticks_max: int = 100
    grace_seconds: float = 60.0
    jitter_seconds: float = 0.0

    def __post_init__(self) -> None:
        if self.ticks_max < 1:
            raise ValueError(f"{self.ticks_max} missed ticks can't be the most that run: expected 1 or more")


@dataclass(frozen=True)
class Start:
    """Run the task for `next_run_at`, which becomes `new_next`; with `all` that may lie in the past."""

    new_next: datetime


@dataclass(frozen=True)
class Skip:
    """Record that `ticks` ticks, `next_run_at` the first of them, don't run, and why; then decide again.

    kind: the reason as one of a few words, to count by.
    """

    new_next: datetime
    reason: str
    ticks: int
    kind: SkipKind


@dataclass(frozen=True)
class Wait:
    """Nothing to do before `until`, unless the run ends or the task changes first."""

    until: datetime


Decision = Start | Skip | Wait


def decide(
    schedule: Schedule, next_run_at: datetime, now: datetime, running_since: datetime | None, policy: Policy
) -> Decision:
    """What to do at `now` about the tick `next_run_at`.

    running_since: when the run began that goes on at this moment; None if there is none.
    """
    jitter = timedelta(seconds=policy.jitter_seconds)
    tick, moment = (_moment(_microseconds(given)) - jitter for given in (next_run_at, now))
    since = None if running_since is None else _moment(_microseconds(running_since)) - jitter
    match _decide_on_the_grid(schedule, tick, moment, since, policy):
        case Start(new_next):
            return Start(new_next + jitter)
        case Skip(new_next, reason, ticks, kind):
            return Skip(new_next + jitter, reason, ticks, kind)
        case Wait(until):
            return Wait(until + jitter)


def _decide_on_the_grid(
    schedule: Schedule, tick: datetime, now: datetime, running_since: datetime | None, policy: Policy
) -> Decision:
    running = running_since is not None
    if now < tick:
        return Wait(tick)
    if policy.missed == "all":
        surplus = schedule.due(tick, now)[: -policy.ticks_max]
        if surplus:
            reason = f"{_counted(surplus)} older than the newest {policy.ticks_max} missed"
            return _skip(schedule, surplus, reason, "beyond_missed_max")
        # While the task runs the tick is not lost: it starts when the one before it has ended.
        following = schedule.following(tick, now if running else tick)
        return Wait(following) if running else Start(following)
    if running_since is not None:
        return _skip_during_a_run(schedule, schedule.due(tick, now), running_since)
    if policy.missed == "skip":
        grace = min(timedelta(seconds=policy.grace_seconds), schedule.following(tick, tick) - tick)
        ticks = schedule.due(tick, now)
        late = ticks[: bisect_left(ticks, _microseconds(now - grace))]
        if late:
            reason = f"{_counted(late)} missed by more than {grace.total_seconds():g} s"
            return _skip(schedule, late, reason, "missed")
        return Start(schedule.following(tick, tick))
    return Start(schedule.following(tick, now))


def _skip_during_a_run(schedule: Schedule, passed: Sequence[int], running_since: datetime) -> Skip:
    # After an outage the first run may be the repetition of one that it had ended: what
    # passed before that began was missed, and it is no sign that the task takes too long.
    if missed := passed[: bisect_left(passed, _microseconds(running_since))]:
        return _skip(schedule, missed, f"{_counted(missed)} missed before the present run began", "missed")
    reason = STILL_RUNNING if len(passed) == 1 else f"{STILL_RUNNING} ({_counted(passed)})"
    return _skip(schedule, passed, reason, "still_running")


def _skip(schedule: Schedule, ticks: Sequence[int], reason: str, kind: SkipKind) -> Skip:
    last = _moment(ticks[-1])
    return Skip(schedule.following(last, last), reason, len(ticks), kind)


def _counted(ticks: Sequence[int]) -> str:
    return "1 tick" if len(ticks) == 1 else f"{len(ticks)} ticks"


def retry_delay_seconds(
    attempt: int, base_seconds: float, cap_seconds: float, jitter_fraction_from: str
) -> float:
    """How long to wait after the failure of attempt 1, 2, …: doubled each time, at most `cap_seconds`.

    The upper half of it is jitter, so that tasks that failed together don't
    come back together. It depends on `jitter_fraction_from` (a run's id) alone:
    whoever computes it, and however often, gets the same.
    """
    if attempt < 1:
        raise ValueError(f"attempt {attempt} can't have failed: expected 1 or more")
    # Beyond some doublings every delay is the cap, and the power would overflow.
    full = min(cap_seconds, math.ldexp(base_seconds, min(attempt - 1, 64)))
    return full * (1 + _fraction(jitter_fraction_from)) / 2


def jitter_seconds(task: str, spread_seconds: float) -> float:
    """The task's own part of `spread_seconds`, from 0 to just below it, always the same."""
    return spread_seconds * _fraction(task)


def _fraction(text: str) -> float:
    # 53 bits are what a float holds, so the result never rounds up to 1.
    return (int.from_bytes(blake2b(text.encode(), digest_size=8).digest()) >> 11) / 2**53
