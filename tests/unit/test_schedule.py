"""Intervals, what is refused, schedules in words, and delays; cron ticks are in test_walltime.py."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.cron.schedule import Cron, Every, jitter_seconds, retry_delay_seconds

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
FIVE_MINUTES = Every(300)


def after(**duration: float) -> datetime:
    return NOON + timedelta(**duration)


# Intervals


def test_ten_thousand_ticks_are_exact() -> None:
    tick = NOON
    for _ in range(10_000):
        tick = Every(0.1).following(tick, tick + timedelta(milliseconds=37))
    assert tick == after(seconds=1_000)


def test_the_next_tick_follows_from_the_scheduled_one_and_not_from_now() -> None:
    assert FIVE_MINUTES.following(NOON, after(minutes=3)) == after(minutes=5)


def test_a_tick_that_is_now_has_passed() -> None:
    assert FIVE_MINUTES.following(NOON, after(minutes=5)) == after(minutes=10)


def test_a_clock_behind_the_scheduled_time_gives_no_tick_twice() -> None:
    assert FIVE_MINUTES.following(NOON, after(seconds=-1)) == after(minutes=5)


@given(st.integers(1_000, 10**12), st.integers(-(10**15), 10**17))
def test_the_next_tick_is_the_first_on_the_grid_after_now(period: int, passed: int) -> None:
    every, now = Every(period / 1_000_000), NOON + timedelta(microseconds=passed)
    tick = every.following(NOON, now)
    assert tick > max(NOON, now)
    assert (tick - NOON) % timedelta(microseconds=period) == timedelta(0)
    assert tick - timedelta(microseconds=period) <= max(NOON, now)


def test_intervals_do_not_follow_the_wall_clock() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    before_the_change = datetime(2026, 3, 28, 12, tzinfo=berlin)
    tick = Every(86_400).following(before_the_change, before_the_change)
    assert tick == before_the_change.astimezone(UTC) + timedelta(hours=24)
    assert tick.tzinfo is UTC


@pytest.mark.parametrize("seconds", [0, -1, 0.0001, float("nan"), float("inf"), 1e12])
def test_an_interval_outside_a_millisecond_and_a_century_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match=r"an interval of .* seconds is not possible: expected 0.001 to"):
        Every(seconds)


@pytest.mark.parametrize("schedule", [FIVE_MINUTES, Cron("0 9 * * *", "UTC")])
def test_a_datetime_without_a_zone_is_refused(schedule: Every | Cron) -> None:
    with pytest.raises(ValueError, match="expected an aware datetime"):
        schedule.following(NOON.replace(tzinfo=None), NOON.replace(tzinfo=None))


# Cron expressions


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("", "wrong number of fields"),
        ("* * * *", "wrong number of fields"),
        ("60 * * * *", "bad minute"),
        ("* 24 * * *", "bad hour"),
        ("* * 0 * *", "bad day-of-month"),
        ("* * * MOON *", "bad month"),
        ("0 0 30 2 *", "bad day-of-month"),
        ("*/0 * * * *", "bad minute"),
        ("* " * 150, "longer than 200 characters"),
    ],
)
def test_a_bad_cron_expression_is_refused_with_its_reason(expression: str, reason: str) -> None:
    with pytest.raises(ValueError, match=rf"is not a cron expression \({reason}\): expected minute, hour"):
        Cron(expression, "UTC")


@pytest.mark.parametrize(
    "zone", ["", "Mars/Olympus", "Europe", "../etc/passwd", "/etc/passwd", "\0", "x" * 300]
)
def test_an_unknown_zone_is_refused_by_name(zone: str) -> None:
    with pytest.raises(ValueError, match="is not a time zone: expected an IANA name"):
        Cron("* * * * *", zone)


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        (Every(300), "every 5 minutes"),
        (Every(1), "every second"),
        (Every(90), "every 90 seconds"),
        (Every(0.25), "every 0.25 seconds"),
        (Every(86_400), "every day"),
        (Cron("* * * * *", "UTC"), "every minute"),
        (Cron("*/5 * * * *", "UTC"), "every 5 minutes"),
        (Cron("0 9 * * *", "Europe/Berlin"), "at 09:00 in Europe/Berlin"),
        (Cron("30 8,12,18 * * mon-fri", "UTC"), "at 08:30, 12:30 and 18:30 on weekdays in UTC"),
        (Cron("0 9 * * 7", "UTC"), "at 09:00 on Sunday in UTC"),
        (Cron("0 9 * * tue", "UTC"), "at 09:00 on Tuesday in UTC"),
        (Cron("0 0 1 * *", "UTC"), "at 00:00 on day 1 of the month in UTC"),
        (Cron("15 * * * *", "Asia/Kolkata"), "at minute 15 of every hour in Asia/Kolkata"),
        (Cron("*/7 3 * * *", "UTC"), "cron */7 3 * * * in UTC"),
        (Cron("*/7 * * * *", "UTC"), "cron */7 * * * * in UTC"),
        (Cron("0 0 13 * 5", "UTC"), "cron 0 0 13 * 5 in UTC"),
        (Cron("0 0 9 * * *", "UTC"), "cron 0 0 9 * * * in UTC"),
    ],
)
def test_a_schedule_says_in_words_when_it_runs(schedule: Every | Cron, words: str) -> None:
    assert schedule.describe() == words


# Retries and jitter


def test_each_retry_waits_about_twice_as_long_up_to_the_cap() -> None:
    delays = [retry_delay_seconds(attempt, 1.0, 60.0, f"run {attempt}") for attempt in range(1, 200)]
    limits = [min(60.0, 2.0**power) for power in range(199)]
    assert all(limit / 2 <= delay < limit for delay, limit in zip(delays, limits, strict=True))


def test_the_same_run_gets_the_same_delay_and_another_run_another() -> None:
    assert retry_delay_seconds(3, 1.0, 60.0, "run 7") == retry_delay_seconds(3, 1.0, 60.0, "run 7")
    assert retry_delay_seconds(3, 1.0, 60.0, "run 7") != retry_delay_seconds(3, 1.0, 60.0, "run 8")


def test_there_is_no_retry_before_the_first_attempt() -> None:
    with pytest.raises(ValueError, match="attempt 0"):
        retry_delay_seconds(0, 1.0, 60.0, "run 1")


def test_jitter_is_the_tasks_own_and_spreads_over_the_whole_range() -> None:
    delays = sorted(jitter_seconds(f"task-{number}", 60.0) for number in range(1_000))
    assert jitter_seconds("task-0", 60.0) in delays
    assert 0 <= delays[0] < delays[-1] < 60
    assert max(later - earlier for earlier, later in pairwise([0.0, *delays, 60.0])) < 1
