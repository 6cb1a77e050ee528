"""Request ids that the node makes itself."""

from itertools import pairwise
from uuid import RFC_4122, UUID

from hypothesis import given
from hypothesis import strategies as st

from server.money.amounts import Movement
from server.money.request_ids import RequestIds, derived_id, fingerprint


def test_an_id_is_a_uuid_of_version_7_that_holds_the_millisecond():
    text = RequestIds(unix_ms=lambda: 0x0198C5A07D3E).make()
    made = UUID(text)
    assert str(made) == text
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


# Those that follow from a key

texts = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=10)


@given(texts, texts, texts)
def test_a_derived_id_is_a_uuid_of_version_8_and_the_same_each_time(client, key, place):
    text = derived_id(client, key, place)
    made = UUID(text)
    assert (str(made), made.version, made.variant) == (text, 8, RFC_4122)
    assert derived_id(client, key, place) == text


def test_no_two_places_keys_or_clients_derive_the_same_id():
    parts = ["", "a", "b", "ab", "0"]
    made = {derived_id(client, key, place) for client in parts for key in parts for place in parts}
    assert len(made) == len(parts) ** 3


def test_a_fingerprint_tells_lists_apart_by_content_and_order():
    one, other = Movement(1, 23), Movement(12, 3)
    named = Movement(1, 23, "0198c5a0-7d3e-7c4a-9f10-6b2f5d1e8a77")
    lists = [[one], [other], [one, other], [other, one], [one, one], [named], [named, one]]
    assert len({fingerprint(movements) for movements in lists}) == len(lists)
    assert fingerprint([one, other]) == fingerprint([Movement(1, 23), Movement(12, 3)])
