"""Request ids that the node makes itself."""

from itertools import pairwise
from uuid import RFC_4122

from server.money.request_ids import RequestIds


def test_an_id_is_a_uuid_of_version_7_that_holds_the_millisecond():
    made = RequestIds(unix_ms=lambda: 0x0198C5A07D3E).make()
    assert (made.version, made.variant) == (7, RFC_4122)
    assert made.int >> 80 == 0x0198C5A07D3E


def test_ids_grow_within_one_millisecond_even_beyond_the_counter():
    ids = RequestIds(unix_ms=lambda: 1000)
    made = [ids.make() for _ in range(10_000)]
    assert all(a < b for a, b in pairwise(made))


def test_ids_grow_when_the_clock_steps_back():
    clock = iter([2000, 1000, 1999, 2000, 2001])
    ids = RequestIds(unix_ms=lambda: next(clock))
    made = [ids.make() for _ in range(5)]
    assert all(a < b for a, b in pairwise(made))


def test_two_makers_at_the_same_moment_make_different_ids():
    one, other = RequestIds(unix_ms=lambda: 5), RequestIds(unix_ms=lambda: 5)
    assert not {one.make() for _ in range(1000)} & {other.make() for _ in range(1000)}
