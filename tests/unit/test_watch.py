"""The watch: when a node has seen enough of the database's clock to judge a lease."""

from datetime import UTC, datetime, timedelta

from server.cluster.watch import Reading, Watch

START = datetime(2026, 1, 1, tzinfo=UTC)
ORIGIN = ("connection 1", "server start", "00000001")


def reading(own: float, step: float = 0.0, origin: tuple[object, ...] = ORIGIN, took: float = 0.0) -> Reading:
    """took: how long the answer was on its way; the clock was read as the question arrived."""
    return Reading(own, own + took, START + timedelta(seconds=own + step), origin)


def watch_over(*readings: Reading) -> Watch:
    watch = Watch(ttl_seconds=15, margin_seconds=2, gap_seconds_max=5)
    for one in readings:
        watch.observe(one)
    return watch


def test_nothing_seen_is_not_enough():
    assert not watch_over().is_complete


def test_a_watch_is_complete_after_one_ttl_and_not_before():
    assert not watch_over(*(reading(second) for second in range(15))).is_complete
    assert watch_over(*(reading(second) for second in range(16))).is_complete


def test_a_step_forward_begins_the_watch_anew():
    steady = [reading(second) for second in range(16)]
    assert not watch_over(*steady, reading(16, step=3600)).is_complete


def test_a_step_backward_begins_the_watch_anew():
    steady = [reading(second) for second in range(16)]
    assert not watch_over(*steady, reading(16, step=-3600)).is_complete


def test_a_drift_in_small_steps_adds_up_to_a_step():
    drifting = [reading(second, step=second * 0.1) for second in range(16)]
    assert not watch_over(*drifting).is_complete


def test_a_step_and_a_larger_one_back_don_t_pass_for_steady():
    back = [reading(second, step=-0.9) for second in range(5, 15)]
    ahead = [reading(second, step=0.9) for second in range(15, 20)]
    assert not watch_over(*(reading(second) for second in range(5)), *back, *ahead).is_complete


def test_what_happened_in_a_gap_was_not_watched():
    steady = [reading(second) for second in range(16)]
    assert watch_over(*steady, reading(20)).is_complete
    assert not watch_over(*steady, reading(21)).is_complete


def test_a_step_can_t_hide_behind_an_answer_that_took_long():
    slow = reading(0, took=1.2)
    assert not watch_over(slow, *(reading(second) for second in range(2, 16))).is_complete
    assert not watch_over(*(reading(second) for second in range(16)), reading(16, took=1.2)).is_complete


def test_a_watch_counts_from_when_its_first_answer_came():
    late = reading(0, took=0.5)
    assert not watch_over(late, *(reading(second) for second in range(1, 16))).is_complete
    assert watch_over(late, *(reading(second) for second in range(1, 17))).is_complete


def test_the_clock_of_a_sweep_may_be_half_a_margin_ahead_of_what_was_watched():
    watch = watch_over(*(reading(second, step=100) for second in range(16)))
    assert watch.clock_max(16.0) == START + timedelta(seconds=16 + 100 + 1)


def test_what_the_clock_was_ahead_before_leaves_a_sweep_less():
    watch = watch_over(
        *(reading(second) for second in range(10)), *(reading(s, step=0.4) for s in range(10, 16))
    )
    assert watch.clock_max(16.0) == START + timedelta(seconds=16 + 1)


def test_the_honest_drift_of_a_day_does_not_break_the_watch():
    day = [reading(second, step=second * 50e-6) for second in range(0, 86_400, 5)]
    assert watch_over(*day).is_complete


def test_a_restart_a_promotion_and_a_reconnect_begin_the_watch_anew():
    steady = [reading(second) for second in range(16)]
    for origin in (("connection 2", *ORIGIN[1:]), (ORIGIN[0], "later", ORIGIN[2]), (*ORIGIN[:2], "00000002")):
        assert not watch_over(*steady, reading(16, origin=origin)).is_complete


def test_a_new_watch_after_a_break_takes_a_whole_ttl_again():
    watch = watch_over(*(reading(second) for second in range(16)))
    watch.reset()
    for second in range(16, 31):
        watch.observe(reading(second))
        assert not watch.is_complete
    watch.observe(reading(31))
    assert watch.is_complete


def test_a_step_is_counted_and_another_connection_is_none():
    steady = [reading(second) for second in range(16)]
    assert watch_over(*steady).steps == 0
    assert watch_over(*steady, reading(16, step=3600), reading(17, step=3600)).steps == 1
    assert watch_over(*steady, reading(16, origin=("connection 2", *ORIGIN[1:]))).steps == 0
