"""What is decided about ticks that are due, late, or come while the task runs."""

from datetime import UTC, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.cron.schedule import (
    STILL_RUNNING,
    TICKS_COUNTED_MAX,
    Cron,
    Every,
    Policy,
    Skip,
    Start,
    Wait,
    decide,
)

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
FIVE_MINUTES = Every(300)
ONCE, SKIP, ALL = Policy("once"), Policy("skip"), Policy("all")


def after(**duration: float) -> datetime:
    return NOON + timedelta(**duration)


@pytest.mark.parametrize("policy", [ONCE, SKIP, ALL])
@pytest.mark.parametrize("running", [None, after(minutes=-3)])
def test_before_its_time_a_task_waits_for_it(policy: Policy, running: datetime | None) -> None:
    assert decide(FIVE_MINUTES, NOON, after(seconds=-1), running, policy) == Wait(NOON)


@pytest.mark.parametrize("policy", [ONCE, SKIP, ALL])
def test_a_tick_in_time_starts_under_every_policy(policy: Policy) -> None:
    assert decide(FIVE_MINUTES, NOON, after(seconds=2), None, policy) == Start(after(minutes=5))


@pytest.mark.parametrize("schedule", [FIVE_MINUTES, Cron("*/5 * * * *", "UTC")])
def test_once_starts_one_run_for_all_missed_ticks(schedule: Every | Cron) -> None:
    assert decide(schedule, NOON, after(minutes=52), None, ONCE) == Start(after(minutes=55))


@pytest.mark.parametrize("schedule", [FIVE_MINUTES, Cron("*/5 * * * *", "UTC")])
def test_skip_leaves_out_the_missed_ticks_and_counts_them(schedule: Every | Cron) -> None:
    now = after(minutes=52)
    assert decide(schedule, NOON, now, None, SKIP) == Skip(
        after(minutes=55), "11 ticks missed by more than 60 s", 11, "missed"
    )


def test_skip_still_starts_the_newest_tick_within_the_grace() -> None:
    now = after(minutes=50, seconds=30)
    skipped = decide(FIVE_MINUTES, NOON, now, None, SKIP)
    assert skipped == Skip(after(minutes=50), "10 ticks missed by more than 60 s", 10, "missed")
    assert decide(FIVE_MINUTES, after(minutes=50), now, None, SKIP) == Start(after(minutes=55))


def test_the_grace_is_one_period_where_that_is_less() -> None:
    assert decide(Every(10), NOON, after(seconds=11), None, SKIP) == Skip(
        after(seconds=10), "1 tick missed by more than 10 s", 1, "missed"
    )


def test_skip_loses_no_tick_that_comes_just_as_the_grace_of_the_one_before_ends() -> None:
    assert decide(Every(10), NOON, after(seconds=10), None, SKIP) == Start(after(seconds=10))


@pytest.mark.parametrize("schedule", [FIVE_MINUTES, Cron("*/5 * * * *", "UTC")])
def test_all_starts_one_missed_tick_after_the_other(schedule: Every | Cron) -> None:
    assert decide(schedule, NOON, after(minutes=52), None, ALL) == Start(after(minutes=5))


@pytest.mark.parametrize("schedule", [FIVE_MINUTES, Cron("*/5 * * * *", "UTC")])
def test_all_skips_what_is_older_than_the_newest_so_many(schedule: Every | Cron) -> None:
    policy = Policy("all", ticks_max=3)
    assert decide(schedule, NOON, after(minutes=52), None, policy) == Skip(
        after(minutes=40), "8 ticks older than the newest 3 missed", 8, "beyond_missed_max"
    )
    assert decide(schedule, after(minutes=40), after(minutes=52), None, policy) == Start(after(minutes=45))


@pytest.mark.parametrize("policy", [ONCE, SKIP])
def test_a_tick_that_comes_while_the_task_runs_is_skipped_with_that_reason(policy: Policy) -> None:
    decision = decide(FIVE_MINUTES, NOON, after(seconds=1), after(minutes=-1), policy)
    assert decision == Skip(after(minutes=5), STILL_RUNNING, 1, "still_running")


@pytest.mark.parametrize("policy", [ONCE, SKIP])
def test_several_ticks_during_a_run_are_skipped_together_and_counted_in_the_reason(policy: Policy) -> None:
    decision = decide(FIVE_MINUTES, NOON, after(minutes=11), after(minutes=-1), policy)
    assert decision == Skip(after(minutes=15), f"{STILL_RUNNING} (3 ticks)", 3, "still_running")


@pytest.mark.parametrize("jitter_seconds", [0.0, 40.0])
@pytest.mark.parametrize("missed", ["once", "skip"])
def test_ticks_that_passed_before_the_present_run_began_were_missed_and_not_held_up_by_it(
    missed: Literal["once", "skip"], jitter_seconds: float
) -> None:
    """The run repeats one that an outage ended; its start leaves the schedule where it was."""
    policy, stored = Policy(missed, jitter_seconds=jitter_seconds), after(seconds=jitter_seconds)
    began, now = stored + 10 * MINUTE, stored + 11 * MINUTE
    decision = decide(Every(60), stored, now, began + timedelta(seconds=1), policy)
    assert decision == Skip(now, "11 ticks missed before the present run began", 11, "missed")
    assert decide(Every(60), now, now, began, policy) == Skip(now + MINUTE, STILL_RUNNING, 1, "still_running")


def test_under_all_a_tick_that_comes_while_the_task_runs_keeps_its_place() -> None:
    assert decide(FIVE_MINUTES, NOON, after(seconds=1), after(minutes=-1), ALL) == Wait(after(minutes=5))


@pytest.mark.parametrize("policy", [ONCE, SKIP, ALL])
def test_ten_years_of_outage_are_decided_at_once(policy: Policy) -> None:
    decision = decide(Every(0.001), NOON, after(days=3_650), None, policy)
    assert not isinstance(decision, Wait)
    assert decision.new_next > after(days=3_649) or policy is ALL


def test_many_missed_cron_ticks_are_skipped_in_countable_pieces() -> None:
    cron, next_run_at, now, skipped = Cron("* * * * *", "Europe/Berlin"), NOON, after(days=20), 0
    while isinstance(decision := decide(cron, next_run_at, now, None, SKIP), Skip):
        assert 0 < decision.ticks <= TICKS_COUNTED_MAX
        skipped += decision.ticks
        next_run_at = decision.new_next
    assert isinstance(decision, Start)
    assert skipped == 20 * 1_440 - 1
    assert next_run_at == now - MINUTE


@settings(max_examples=10, deadline=None)
@given(st.lists(st.floats(0, 0.9), min_size=1, max_size=50), st.floats(0, 5))
def test_ten_thousand_runs_that_each_start_late_keep_their_interval_exactly(
    latenesses: list[float], jitter_seconds: float
) -> None:
    policy, first = Policy(jitter_seconds=jitter_seconds), after(seconds=0.1)
    next_run_at = first
    for number in range(10_000):
        now = next_run_at + timedelta(seconds=latenesses[number % len(latenesses)])
        decision = decide(Every(1), next_run_at, now, None, policy)
        assert isinstance(decision, Start)
        next_run_at = decision.new_next
    assert next_run_at - first == timedelta(seconds=10_000)


def test_jitter_shifts_the_stored_times_and_not_the_grid() -> None:
    policy = Policy(jitter_seconds=7)
    nine = Cron("0 9 * * *", "UTC")
    stored = datetime(2026, 1, 1, 9, 0, 7, tzinfo=UTC)
    assert decide(nine, stored, stored - timedelta(seconds=3), None, policy) == Wait(stored)
    assert decide(nine, stored, stored, None, policy) == Start(stored + timedelta(days=1))


def test_a_decision_counts_real_time_in_whatever_zone_it_is_asked() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    before = datetime(2026, 3, 29, 1, 59, tzinfo=berlin)  # a minute before 03:00
    assert decide(Every(60), before, datetime(2026, 3, 29, 3, 0, 30, tzinfo=berlin), None, ONCE) == Start(
        datetime(2026, 3, 29, 1, 1, tzinfo=UTC)
    )


@given(
    st.sampled_from([Policy("once"), Policy("skip"), Policy("all", ticks_max=5)]),
    st.sampled_from(
        [Every(7), Every(90), Cron("*/2 * * * *", "Asia/Kolkata"), Cron("0 3 * * *", "Europe/Berlin")]
    ),
    st.lists(st.tuples(st.floats(0, 2_000), st.none() | st.floats(0, 9_000)), max_size=40),
)
def test_every_tick_is_started_merged_or_counted_as_skipped(
    policy: Policy, schedule: Every | Cron, steps: list[tuple[float, float | None]]
) -> None:
    next_run_at = schedule.following(NOON, NOON)
    now = next_run_at
    for seconds, ran_seconds in steps:
        now += timedelta(seconds=seconds)
        running_since = None if ran_seconds is None else now - timedelta(seconds=ran_seconds)
        decision = decide(schedule, next_run_at, now, running_since, policy)
        if isinstance(decision, Wait):
            assert decision.until > now
            continue
        passed = schedule.due(next_run_at, decision.new_next)
        assert decision.new_next > next_run_at
        if isinstance(decision, Skip):
            assert decision.ticks == len(passed) - 1
            assert decision.reason
        elif policy.missed == "once":
            assert decision.new_next > now
        else:
            assert len(passed) == 2
        next_run_at = decision.new_next


def test_a_policy_that_would_run_no_missed_tick_is_refused() -> None:
    with pytest.raises(ValueError, match="0 missed ticks"):
        Policy("all", ticks_max=0)
