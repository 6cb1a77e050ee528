"""The quick and the careful way to read a list of withdrawals agree on every body."""

import json

from hypothesis import example, given, settings
from hypothesis import strategies as st

from server.errors import InvalidJsonError, InvalidRequestError
from server.money.amounts import INTEGER_MAX, Movement
from server.money.movement_lists import careful_withdrawals, parse_withdrawals, quick_withdrawals

REQUEST_ID = "0198c5a0-7d3e-7c4a-9f10-6b2f5d1e8a77"
OTHER_ID = "0198c5a0-7d3e-7c4a-9f10-6b2f5d1e8a78"

numbers = st.one_of(
    st.integers(1, 9).map(str),
    st.sampled_from(["0", "-1", "-0", "2.0", "1e3", "true", "null", "[1]", "{}", '"1"', "9007199254740992"]),
)
request_ids = st.sampled_from(
    [REQUEST_ID, REQUEST_ID.upper(), OTHER_ID, "\\u0030" + REQUEST_ID[1:], "a:b", ""]
).map('"{}"'.format)
numeric_members = st.tuples(st.sampled_from(["userId", "amount", "user\\u0049d", "x:y"]), numbers)
texts = st.tuples(st.just("requestId"), request_ids | st.just("null"))
right = st.tuples(st.integers(1, 9), st.integers(1, 9), st.none() | request_ids).map(
    lambda one: f'{{"userId":{one[0]},"amount":{one[1]}' + (f',"requestId":{one[2]}}}' if one[2] else "}")
)
wrong = st.lists(numeric_members | texts, max_size=4).map(
    lambda pairs: "{" + ",".join(f'"{name}":{value}' for name, value in pairs) + "}"
)
lists = st.lists(st.one_of(right, right, right, wrong, st.sampled_from(["7", "[]", "null"])), max_size=4).map(
    lambda items: "[" + ", ".join(items) + "]"
)
names = st.sampled_from(["withdrawals", "withdrawals", "withdrawals", "\\u0077ithdrawals", "other"])


@st.composite
def bodies(draw) -> bytes:
    """Bodies that are right, nearly right, or cut and joined somewhere."""
    members = draw(st.lists(st.tuples(names, lists), min_size=1, max_size=2))
    body = ("{" + ",".join(f'"{name}":{value}' for name, value in members) + "}").encode()
    place = draw(st.integers(0, len(body)))
    match draw(st.sampled_from(["whole", "whole", "whole", "whole", "cut", "inserted"])):
        case "cut":
            return body[:place]
        case "inserted":
            return body[:place] + draw(st.binary(min_size=1, max_size=2)) + body[place:]
    return body


@settings(max_examples=800, deadline=None)
@given(bodies())
@example(b'{"withdrawals":[{"userId":1,"amount":2,"amount":3}]}')
@example(b'{"withdrawals":[],"withdrawals":[{"userId":1,"amount":2}]}')
@example(b'{"withdrawals":[{"userId":1,"amount":2,"requestId":"a:b"}]}')
def test_what_the_quick_way_accepts_the_careful_way_reads_the_same(body):
    found = quick_withdrawals(body)
    if found is not None:
        assert found
        assert careful_withdrawals(body) == found


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, INTEGER_MAX), st.integers(1, INTEGER_MAX), st.none() | st.uuids()),
        min_size=1,
        max_size=20,
        unique_by=lambda one: one[2] or object(),
    )
)
def test_every_right_list_takes_the_quick_way(wanted):
    withdrawals = [
        {"userId": user_id, "amount": amount} | ({"requestId": str(request_id)} if request_id else {})
        for user_id, amount, request_id in wanted
    ]
    body = json.dumps({"withdrawals": withdrawals}).encode()
    assert (
        quick_withdrawals(body)
        == careful_withdrawals(body)
        == [
            Movement(user_id, amount, request_id and str(request_id))
            for user_id, amount, request_id in wanted
        ]
    )


@settings(max_examples=300, deadline=None)
@given(bodies())
def test_every_body_is_accepted_or_refused_by_one_of_two_errors(body):
    try:
        parse_withdrawals(body)
    except (InvalidJsonError, InvalidRequestError) as error:
        json.dumps(error.members()).encode()
