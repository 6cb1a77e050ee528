"""Pauses between tries grow, end at a limit, and differ from one to the next."""

import random

from hypothesis import given
from hypothesis import strategies as st

from server.postgres.back_off import BackOff


def longest(low: float, high: float) -> float:
    return high


def test_each_pause_is_at_most_twice_the_one_before_up_to_the_limit():
    back_off = BackOff(0.5, chance=longest)
    assert [back_off.pause() for _ in range(6)] == [0.05, 0.1, 0.2, 0.4, 0.5, 0.5]


@given(st.integers(0, 2**32), st.floats(0.001, 100), st.integers(1, 30))
def test_no_pause_is_shorter_than_half_its_limit_nor_longer_than_the_longest(seed, longest_seconds, tries):
    back_off = BackOff(longest_seconds, chance=random.Random(seed).uniform)
    pauses = [back_off.pause() for _ in range(tries)]
    assert all(0 < pause <= longest_seconds for pause in pauses)
    assert pauses[-1] >= min(longest_seconds, 0.05 * 2 ** (tries - 1)) / 2


def test_two_who_failed_together_do_not_come_back_together():
    one, other = BackOff(1.0), BackOff(1.0)
    assert [one.pause() for _ in range(5)] != [other.pause() for _ in range(5)]


def test_what_broke_at_once_leaves_the_pauses_long_and_what_lasted_makes_them_short():
    back_off = BackOff(0.5, chance=longest)
    for _ in range(6):
        back_off.pause()
    back_off.lasted(0.1)
    assert back_off.pause() == 0.5
    back_off.lasted(0.5)
    assert back_off.pause() == 0.05
