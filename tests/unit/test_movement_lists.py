"""Lists of withdrawals in one body: what is taken, and what is said about everything else."""

import json
import time

import pytest

from server.errors import InvalidJsonError, InvalidRequestError
from server.money.amounts import INTEGER_MAX, Movement
from server.money.movement_lists import (
    BODY_BYTES_MAX,
    MOVEMENTS_MAX,
    careful_withdrawals,
    parse_withdrawals,
    quick_withdrawals,
)

REQUEST_ID = "0198c5a0-7d3e-7c4a-9f10-6b2f5d1e8a77"
OTHER_ID = "0198c5a0-7d3e-7c4a-9f10-6b2f5d1e8a78"
ONE = {"userId": 1, "amount": 2}


def body_of(*withdrawals: object) -> bytes:
    return json.dumps({"withdrawals": withdrawals}).encode()


def faults_of(body: bytes) -> dict[str, str]:
    """JSON Pointer to sentence, for a body that must be refused."""
    with pytest.raises(InvalidRequestError) as caught:
        parse_withdrawals(body)
    return dict(caught.value.faults)


# Accepted


@pytest.mark.parametrize(
    ("body", "movements"),
    [
        (body_of(ONE), [Movement(1, 2)]),
        (body_of(ONE, ONE), [Movement(1, 2), Movement(1, 2)]),
        (body_of({"amount": INTEGER_MAX, "userId": INTEGER_MAX}), [Movement(INTEGER_MAX, INTEGER_MAX)]),
        (
            body_of(ONE | {"requestId": REQUEST_ID.upper()}, ONE, ONE | {"requestId": OTHER_ID}),
            [Movement(1, 2, REQUEST_ID), Movement(1, 2), Movement(1, 2, OTHER_ID)],
        ),
        (b'\r\n { "withdrawals" : [ {"userId":1,\t"amount":2} ] } ', [Movement(1, 2)]),
        (b'{"\\u0077ithdrawals":[{"\\u0075serId":1,"amount":2}]}', [Movement(1, 2)]),
    ],
)
def test_a_right_list_is_read_the_quick_way_and_the_careful_way_agrees(body, movements):
    assert quick_withdrawals(body) == careful_withdrawals(body) == parse_withdrawals(body) == movements


def test_ten_thousand_withdrawals_are_the_most():
    assert MOVEMENTS_MAX == 10_000
    assert len(parse_withdrawals(body_of(*[ONE] * 10_000))) == 10_000
    assert faults_of(body_of(*[ONE] * 10_001)) == {
        "/withdrawals": "must be a list of 1 to 10000 withdrawals, and has 10001"
    }


def test_ten_thousand_of_the_longest_withdrawals_fit_into_a_body():
    longest = {"userId": INTEGER_MAX, "amount": INTEGER_MAX, "requestId": REQUEST_ID}
    assert len(body_of(*[longest] * MOVEMENTS_MAX)) < BODY_BYTES_MAX == 2 * 1024 * 1024


# Refused, with the place named


@pytest.mark.parametrize(
    ("withdrawals", "kind"),
    [
        ("null", "and was null"),
        ("7", "and was a whole number"),
        ('"x"', "and was a string"),
        ("true", "and was a boolean"),
        ('{"userId":1,"amount":2}', "and was an object"),
        ("{}", "and was an object"),
        ("[]", "and has 0"),
    ],
)
def test_what_is_no_list_of_withdrawals_is_named(withdrawals, kind):
    faults = faults_of(b'{"withdrawals":%s}' % withdrawals.encode())
    assert faults == {"/withdrawals": f"must be a list of 1 to 10000 withdrawals, {kind}"}


@pytest.mark.parametrize(
    ("body", "faults"),
    [
        (b"{}", {"/withdrawals": "is missing"}),
        (b"[]", {"": "must be an object, and was an array"}),
        (b"null", {"": "must be an object, and was null"}),
        (body_of(ONE)[:-1] + b',"dryRun":true}', {"/dryRun": "is unknown; the members are withdrawals"}),
        (
            b'{"withdrawals":[{"userId":1,"amount":2}],"withdrawals":[{"userId":1,"amount":3}]}',
            {"/withdrawals": "is given 2 times"},
        ),
        (
            b'{"withdrawals":[],"withdrawals":[{"userId":1,"amount":3}]}',
            {"/withdrawals": "is given 2 times"},
        ),
    ],
)
def test_a_fault_of_the_body_itself_is_named(body, faults):
    assert faults_of(body) == faults


def test_every_fault_is_named_by_its_place():
    body = body_of(ONE, 7, {"userId": 0, "amount": "2"}, ONE | {"note": 1}, {}, ONE)
    faults = faults_of(body)
    assert list(faults) == [
        "/withdrawals/1",
        "/withdrawals/2/userId",
        "/withdrawals/2/amount",
        "/withdrawals/3/note",
        "/withdrawals/4/userId",
        "/withdrawals/4/amount",
    ]
    assert faults["/withdrawals/1"] == "must be an object, and was a whole number"
    assert faults["/withdrawals/2/amount"].endswith("and was a string")
    assert faults["/withdrawals/4/amount"] == "is missing"


@pytest.mark.parametrize("first", ["userId", "amount"])
def test_a_repeated_member_of_a_withdrawal_is_refused_even_with_the_same_value(first):
    body = b'{"withdrawals":[{"userId":1,"amount":2},{"userId":1,"amount":1,"%s":1}]}' % first.encode()
    assert faults_of(body) == {f"/withdrawals/1/{first}": "is given 2 times"}


def test_a_request_id_that_occurs_twice_is_named_by_its_places_in_either_case():
    named, shouted = ONE | {"requestId": REQUEST_ID}, ONE | {"requestId": REQUEST_ID.upper()}
    other = ONE | {"requestId": OTHER_ID}
    assert faults_of(body_of(ONE, named, other, shouted, ONE, named)) == {
        "/withdrawals/3/requestId": "is that of withdrawal 1 already",
        "/withdrawals/5/requestId": "is that of withdrawal 1 already",
    }


def test_ten_thousand_faults_are_counted_and_not_listed():
    with pytest.raises(InvalidRequestError) as caught:
        parse_withdrawals(body_of(*[{"userId": 1, "amount": 0}] * 10_000))
    assert len(caught.value.faults) == 21
    assert caught.value.faults[-1] == ("", "has 9980 more faulty members")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        body_of(ONE)[:-1],
        body_of(ONE) + b"x",
        b"\xef\xbb\xbf" + body_of(ONE),
        b'{"withdrawals":[{"userId":1,"amount":NaN}]}',
        b'{"withdrawals":[{"userId":1,"amount":2},]}',
        b'{"withdrawals":[{"userId":1,"amount":2,"\xff":1}]}',
        b'{"withdrawals":' + b"[" * 1_000_000,
    ],
)
def test_what_is_no_json_is_refused(body):
    with pytest.raises(InvalidJsonError):
        parse_withdrawals(body)


@pytest.mark.parametrize(
    "filler", [b"[" * 2000 + b"]" * 2000 + b",", b"0,", b"{},", b'"a:b",', b'{"userId":%s},' % (b"9" * 1000)]
)
def test_the_largest_body_of_nonsense_costs_no_more_than_its_bytes(filler):
    times = (BODY_BYTES_MAX - 100) // len(filler)
    body = b'{"withdrawals":[' + filler * times + b"0]}"
    before = time.process_time()
    with pytest.raises((InvalidJsonError, InvalidRequestError)):
        parse_withdrawals(body)
    assert time.process_time() - before < 4
