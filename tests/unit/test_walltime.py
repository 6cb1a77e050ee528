"""When a cron expression is met in each zone, on the days when its clocks change above all."""

from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import takewhile
from zoneinfo import ZoneInfo, available_timezones

from hypothesis import example, given, settings
from hypothesis import strategies as st

from server.cron.schedule import Cron
from server.cron.walltime import ticks_after

MINUTE = timedelta(minutes=1)
# Links to other zones and zones without changes are kept: they are what people configure.
ZONES = sorted(zone for zone in available_timezones() if zone not in {"localtime", "Factory"})


def ticks(expression: str, zone: str, start: datetime, end: datetime) -> list[datetime]:
    return list(takewhile(lambda tick: tick <= end, ticks_after(expression, ZoneInfo(zone), start)))


def local_times(expression: str, zone: str, day: date, days: int) -> list[str]:
    start = datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC) - timedelta(seconds=1)
    found = ticks(expression, zone, start, start + timedelta(days=days))
    return [tick.astimezone(ZoneInfo(zone)).strftime("%d %H:%M %z") for tick in found]


def test_a_time_that_the_clocks_skip_runs_once_when_the_gap_ends() -> None:
    assert local_times("30 2 * * *", "Europe/Berlin", date(2026, 3, 28), 3) == [
        "28 02:30 +0100",
        "29 03:00 +0200",
        "30 02:30 +0200",
    ]


def test_a_time_that_comes_twice_runs_the_first_time_only() -> None:
    assert local_times("30 2 * * *", "Europe/Berlin", date(2026, 10, 24), 3) == [
        "24 02:30 +0200",
        "25 02:30 +0200",
        "26 02:30 +0100",
    ]


def test_several_times_in_one_gap_are_one_tick() -> None:
    assert local_times("0,20,40 2,3 * * *", "Europe/Berlin", date(2026, 3, 29), 1) == [
        "29 03:00 +0200",
        "29 03:20 +0200",
        "29 03:40 +0200",
    ]


def test_an_expression_with_seconds_follows_the_same_rules() -> None:
    assert local_times("15 30 2 * * *", "Europe/Berlin", date(2026, 3, 29), 1) == ["29 03:00 +0200"]
    assert local_times("15 30 2 * * *", "Europe/Berlin", date(2026, 10, 25), 1) == ["25 02:30 +0200"]


def test_every_half_hour_means_real_half_hours_in_both_passes_of_an_hour() -> None:
    assert local_times("*/30 2 * * *", "Europe/Berlin", date(2026, 10, 25), 1) == [
        "25 02:00 +0200",
        "25 02:30 +0200",
        "25 02:00 +0100",
        "25 02:30 +0100",
    ]
    assert local_times("*/30 2 * * *", "Europe/Berlin", date(2026, 3, 29), 1) == []


def test_a_change_of_half_an_hour_loses_no_tick_of_the_hours_after_it() -> None:
    assert local_times("*/20 4 * * *", "Australia/Lord_Howe", date(2026, 4, 5), 1) == [
        "05 04:00 +1030",
        "05 04:20 +1030",
        "05 04:40 +1030",
    ]


def test_a_moment_in_the_second_pass_is_not_answered_with_one_of_the_first() -> None:
    second_pass = datetime(2026, 10, 25, 1, 30, tzinfo=UTC)  # 02:30 in Berlin, for the second time
    tick = Cron("45 2 * * *", "Europe/Berlin").following(second_pass, second_pass)
    assert tick == datetime(2026, 10, 26, 1, 45, tzinfo=UTC)


def test_late_in_the_first_pass_the_next_tick_is_early_in_the_second() -> None:
    first_pass = datetime(2026, 10, 25, 0, 50, tzinfo=UTC)  # 02:50 in Berlin, for the first time
    tick = Cron("10 * * * *", "Europe/Berlin").following(first_pass, first_pass)
    assert tick == datetime(2026, 10, 25, 1, 10, tzinfo=UTC)


@cache
def changes(zone: str) -> list[datetime]:
    """Moments at most a day after each change of the zone's clocks, 2020 to 2037."""
    found, moment = [], datetime(2020, 1, 1, tzinfo=UTC)
    offset = moment.astimezone(ZoneInfo(zone)).utcoffset()
    while moment.year < 2038:
        moment += timedelta(days=1)
        if offset != (offset := moment.astimezone(ZoneInfo(zone)).utcoffset()):
            found.append(moment)
    return found


@st.composite
def zones_and_starts(draw: st.DrawFn) -> tuple[str, datetime]:
    """A zone, and a start shortly before one of its changes, or anywhere if it has none."""
    zone = draw(st.sampled_from(ZONES))
    near = changes(zone) or [datetime(draw(st.integers(2020, 2037)), 6, 1, tzinfo=UTC)]
    return zone, draw(st.sampled_from(near)) - timedelta(days=2, minutes=draw(st.integers(0, 1_440)))


def first_moment_at_or_after(day: date, at: time, zone: ZoneInfo) -> datetime:
    """By walking minute by minute, so that no arithmetic is shared with what is tested."""
    wanted = datetime.combine(day, at)
    moment = wanted.replace(tzinfo=zone).astimezone(UTC) - timedelta(hours=5)
    while moment.astimezone(zone).replace(tzinfo=None) < wanted:
        moment += MINUTE
    return moment


@settings(max_examples=300, deadline=None)
@given(zones_and_starts(), st.times())
@example(("America/Nuuk", datetime(2026, 3, 27, tzinfo=UTC)), time(23, 30))
@example(("Antarctica/Troll", datetime(2026, 10, 24, tzinfo=UTC)), time(1, 15))
@example(("Africa/Cairo", datetime(2026, 4, 23, tzinfo=UTC)), time(0, 0))
def test_a_daily_task_runs_exactly_once_each_local_day(place: tuple[str, datetime], at: time) -> None:
    name, start = place
    zone, end, at = ZoneInfo(name), start + timedelta(days=4), at.replace(second=0, microsecond=0)
    days = [start.astimezone(zone).date() + timedelta(days=number) for number in range(-1, 7)]
    expected = [first_moment_at_or_after(day, at, zone) for day in days]
    found = ticks(f"{at.minute} {at.hour} * * *", name, start, end)
    assert found == [moment for moment in expected if start < moment <= end]


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(ZONES), st.integers(2020, 2037), st.times())
def test_a_daily_task_runs_as_often_as_the_year_has_days(name: str, year: int, at: time) -> None:
    # From noon to noon: a time that is moved to the end of a gap may fall on New Year's Day.
    start, end = (datetime(y, 6, 15, 12, tzinfo=ZoneInfo(name)) for y in (year, year + 1))
    found = ticks(f"{at.minute} {at.hour} * * *", name, start, end)
    assert len(found) == (date(year + 1, 6, 15) - date(year, 6, 15)).days


@settings(max_examples=100, deadline=None)
@given(zones_and_starts(), st.sampled_from([1, 7, 20, 30]), st.sampled_from(["*", "*/2", "1-3", "0,23"]))
def test_a_repeating_task_runs_at_every_real_moment_that_matches(
    place: tuple[str, datetime], step: int, hours: str
) -> None:
    name, start = place
    start, matching = start.replace(second=0), {"*": range(24), "*/2": range(0, 24, 2), "1-3": (1, 2, 3)}
    walls = [
        (moment, moment.astimezone(ZoneInfo(name)))
        for moment in (start + n * MINUTE for n in range(1, 4_320))
    ]
    assert ticks(f"*/{step} {hours} * * *", name, start, walls[-1][0]) == [
        moment
        for moment, wall in walls
        if wall.minute % step == 0 and wall.second == 0 and wall.hour in matching.get(hours, (0, 23))
    ]


@settings(max_examples=200, deadline=None)
@given(zones_and_starts(), st.sampled_from(["30 2 * * *", "*/15 1,2 * * *", "10 * * * *"]), st.data())
def test_the_next_tick_does_not_depend_on_where_the_counting_began(
    place: tuple[str, datetime], expression: str, data: st.DataObject
) -> None:
    name, start = place
    now = start + data.draw(st.timedeltas(timedelta(0), timedelta(days=3)))
    later = [tick for tick in ticks(expression, name, start, start + timedelta(days=6)) if tick > now]
    assert Cron(expression, name).following(start, now) == later[0]
