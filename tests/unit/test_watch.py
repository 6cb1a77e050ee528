"""The watch: when a node has seen enough of the database's clock to judge a lease."""

from datetime import UTC, datetime, timedelta

from server.cluster.watch import Reading, Watch

START = datetime(2026, 1, 1, tzinfo=UTC)
ORIGIN = ("connection 1", "server start", "00000001")


def reading(own: float, step: float = 0.0, origin: tuple[object, ...] = ORIGIN) -> Reading:
    return Reading(own, START + timedelta(seconds=own + step), origin)


def watch_over(*readings: Reading) -> Watch:
    watch = Watch(ttl_seconds=15, margin_seconds=2)
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
