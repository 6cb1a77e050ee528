"""The quick and the careful way to read a body agree on every body."""

import json

from hypothesis import example, given, settings
from hypothesis import strategies as st

from server.errors import InvalidJsonError, InvalidRequestError
from server.money.amounts import (
    INTEGER_MAX,
    Movement,
    careful_movement,
    careful_opening,
    parse_movement,
    parse_nothing,
    parse_opening,
    quick_movement,
    quick_opening,
)

REQUEST_ID = "0198c5a0-7d3e-7c4a-9f10-6b2f5d1e8a77"

members = st.sampled_from(["userId", "amount", "requestId", "balance", "user\\u0049d", "x:y"])
values = st.one_of(
    st.integers(-3, 3).map(str),
    st.sampled_from(
        ["9007199254740991", "9007199254740992", "-0", "2.0", "1e3", "true", "null", "[1]", "{}"]
    ),
    st.sampled_from([REQUEST_ID, "a:b", "", "\\u0030" + REQUEST_ID[1:]]).map('"{}"'.format),
    st.integers().map(str),
)
blanks = st.sampled_from(["", " ", "\n", "\t "])


@st.composite
def bodies(draw) -> bytes:
    """Objects that are right, nearly right, or cut and joined somewhere."""
    pairs = draw(st.lists(st.tuples(members, values), max_size=4))
    text = ",".join(f'{draw(blanks)}"{name}"{draw(blanks)}:{value}' for name, value in pairs)
    body = f"{draw(blanks)}{{{text}}}{draw(blanks)}".encode()
    place = draw(st.integers(0, len(body)))
    match draw(st.sampled_from(["whole", "whole", "whole", "cut", "inserted"])):
        case "cut":
            return body[:place]
        case "inserted":
            return body[:place] + draw(st.binary(min_size=1, max_size=2)) + body[place:]
    return body


@settings(max_examples=600, deadline=None)
@given(bodies())
@example(b'{"userId":1,"amount":2,"amount":3}')
@example(b'{"userId":1,"amount":2,"requestId":"a:b"}')
def test_what_the_quick_way_accepts_the_careful_way_reads_the_same(body):
    for quick, careful in ((quick_movement, careful_movement), (quick_opening, careful_opening)):
        found = quick(body)
        if found is not None:
            assert careful(body) == found


@settings(max_examples=300, deadline=None)
@given(
    st.permutations(["userId", "amount", "requestId"]),
    st.integers(1, INTEGER_MAX),
    st.integers(1, INTEGER_MAX),
    st.none() | st.uuids(),
)
def test_every_right_body_takes_the_quick_way(order, user_id, amount, request_id):
    given_members = {"userId": user_id, "amount": amount}
    if request_id:
        given_members["requestId"] = str(request_id)
    body = json.dumps({name: given_members[name] for name in order if name in given_members}).encode()
    assert (
        quick_movement(body)
        == careful_movement(body)
        == Movement(user_id, amount, request_id and str(request_id))
    )


@settings(max_examples=300, deadline=None)
@given(bodies())
def test_every_body_is_accepted_or_refused_by_one_of_two_errors(body):
    for parse in (parse_movement, parse_opening, parse_nothing):
        try:
            parse(body)
        except (InvalidJsonError, InvalidRequestError) as error:
            json.dumps(error.members()).encode()
