"""A daily task through every change of the clocks of every zone, from 2020 to 2037."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import cache
from itertools import pairwise, takewhile
from zoneinfo import ZoneInfo, available_timezones

from hypothesis import example, given, settings
from hypothesis import strategies as st

from server.cron.walltime import ticks_after

DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
BEGIN, END = datetime(2020, 1, 1, tzinfo=UTC), datetime(2038, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Span:
    """What a zone's clocks show until a moment: UTC and the offset."""

    until: datetime
    offset: timedelta


def offset_at(zone: ZoneInfo, moment: datetime) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta(0)


def first_second_of(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """When, between two moments, the offset changes to that of the later one."""
    new = offset_at(zone, after)
    while after - before > SECOND:
        middle = before + (after - before) // SECOND // 2 * SECOND
        before, after = (before, middle) if offset_at(zone, middle) == new else (middle, after)
    return after


def spans_of(zone: ZoneInfo) -> Iterator[Span]:
    moment, offset = BEGIN, offset_at(zone, BEGIN)
    while moment < END:
        following = moment + DAY
        if (new := offset_at(zone, following)) != offset:
            yield Span(first_second_of(zone, moment, following), offset)
            offset = new
        moment = following
    yield Span(END, offset)


@cache
def histories() -> dict[tuple[Span, ...], list[str]]:
    """The zones by what their clocks show; many names stand for the same."""
    found: dict[tuple[Span, ...], list[str]] = {}
    for name in sorted(available_timezones() - {"localtime", "Factory"}):
        found.setdefault(tuple(spans_of(ZoneInfo(name))), []).append(name)
    return found


def meaning_of(wall: datetime, spans: tuple[Span, ...]) -> datetime | None:
    """When clocks show `wall` (as if it were UTC) for the first time, or the end of the gap that skips it.

    By the spans alone: no arithmetic is shared with what is tested.
    """
    since = BEGIN - 10 * DAY
    for span, following in pairwise([*spans, Span(END, spans[-1].offset)]):
        if since <= wall - span.offset < span.until:
            return wall - span.offset
        if span.until + span.offset <= wall < span.until + following.offset:
            return span.until
        since = span.until
    return None


def differences(name: str, spans: tuple[Span, ...], change: datetime, at: time) -> list[str]:
    """Where the ticks from two days before a change to two days after it are not once each local day."""
    start, end = change - 2 * DAY, change + 2 * DAY
    expression = f"{at.minute} {at.hour} * * *"
    found = list(takewhile(lambda tick: tick <= end, ticks_after(expression, ZoneInfo(name), start)))
    days = (datetime.combine(start.date(), at, UTC) + number * DAY for number in range(-2, 8))
    expected = [tick for day in days if (tick := meaning_of(day, spans)) and start < tick <= end]
    return [] if found == expected else [f"{name}, {expression}, {change}: {found} and not {expected}"]


@settings(max_examples=5, deadline=None)
@given(st.integers(-120, 180), st.times())
@example(-30, time(0, 0))
@example(0, time(12, 0))
@example(30, time(23, 59))
def test_through_every_change_of_every_zone_a_daily_task_runs_exactly_once_each_local_day(
    minutes: int, at: time
) -> None:
    wrong: list[str] = []
    for spans, names in histories().items():
        for span in spans[:-1]:
            # Around the change, where a time is skipped or comes twice, and anywhere.
            near = (span.until + span.offset + timedelta(minutes=minutes)).time()
            for one in {near.replace(second=0), at.replace(second=0, microsecond=0)}:
                wrong += differences(names[0], spans, span.until, one)
    assert wrong == []


def test_all_zones_are_there_with_their_changes() -> None:
    assert sum(len(names) for names in histories().values()) > 400
    assert sum(len(spans) - 1 for spans in histories()) > 1_000
