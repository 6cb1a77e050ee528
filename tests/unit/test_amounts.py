"""What the money routes take as a body, and what they say about everything else."""

import json
import time

import pytest

from server.errors import InvalidJsonError, InvalidRequestError
from server.money.amounts import (
    INTEGER_MAX,
    Movement,
    careful_movement,
    parse_movement,
    parse_nothing,
    parse_opening,
    quick_movement,
)

REQUEST_ID = "0198c5a0-7d3e-7c4a-9f10-6b2f5d1e8a77"


def faults_of(body: bytes, parse=parse_movement) -> dict[str, str]:
    """JSON Pointer to sentence, for a body that must be refused."""
    with pytest.raises(InvalidRequestError) as caught:
        parse(body)
    return dict(caught.value.faults)


def with_amount(text: str) -> bytes:
    return b'{"userId":1,"amount":%s}' % text.encode()


# Accepted


@pytest.mark.parametrize(
    ("body", "movement"),
    [
        (b'{"userId":1,"amount":250}', Movement(1, 250)),
        (b' { "amount" : 250 ,\r\n\t"userId" : 1 } ', Movement(1, 250)),
        (b'{"userId":1,"amount":9007199254740991}', Movement(1, INTEGER_MAX)),
        (b'{"userId":9007199254740991,"amount":1}', Movement(INTEGER_MAX, 1)),
        (b'{"\\u0075serId":1,"amount":250}', Movement(1, 250)),
        (
            f'{{"userId":1,"amount":2,"requestId":"{REQUEST_ID}"}}'.encode(),
            Movement(1, 2, REQUEST_ID),
        ),
        (
            f'{{"userId":1,"amount":2,"requestId":"{REQUEST_ID.upper()}"}}'.encode(),
            Movement(1, 2, REQUEST_ID),
        ),
    ],
)
def test_a_right_body_is_read_the_quick_way_and_the_careful_way_agrees(body, movement):
    assert quick_movement(body) == careful_movement(body) == parse_movement(body) == movement


def test_a_request_id_with_an_escape_is_read_the_same_on_both_ways():
    body = f'{{"userId":1,"amount":2,"requestId":"\\u0030{REQUEST_ID[1:]}"}}'.encode()
    assert parse_movement(body) == careful_movement(body) == Movement(1, 2, REQUEST_ID)


# Refused, with the member named


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('"250"', "a string"),
        ("2.0", "a number with a fraction or an exponent"),
        ("2.5", "a number with a fraction or an exponent"),
        ("1e3", "a number with a fraction or an exponent"),
        ("1E400", "a number with a fraction or an exponent"),
        ("true", "a boolean"),
        ("false", "a boolean"),
        ("null", "null"),
        ("[1]", "an array"),
        ('{"a":1}', "an object"),
        ("0", "zero"),
        ("-0", "zero"),
        ("-1", "negative"),
        ("-9007199254740992", "negative"),
        ("9007199254740992", "too large"),
        ("18446744073709551616", "too large"),
        ("9" * 60_000, "too large"),
        ("-" + "9" * 60_000, "negative"),
    ],
)
@pytest.mark.parametrize("member", ["userId", "amount"])
def test_a_number_of_the_wrong_kind_or_size_is_named(member, text, fault):
    other = "amount" if member == "userId" else "userId"
    faults = faults_of(f'{{"{member}":{text},"{other}":1}}'.encode())
    assert list(faults) == [f"/{member}"]
    assert faults[f"/{member}"] == f"must be a whole number from 1 to {INTEGER_MAX}, and was {fault}"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("null", "null"),
        ("7", "a whole number"),
        ('""', "another text"),
        ('"a:b"', "another text"),
        (f'"{REQUEST_ID.replace("-", "")}"', "another text"),
        (f'"urn:uuid:{REQUEST_ID}"', "another text"),
        (f'"{{{REQUEST_ID}}}"', "another text"),
        (f'"{REQUEST_ID}\\n"', "another text"),
    ],
)
def test_a_request_id_that_is_no_canonical_uuid_is_named(text, fault):
    faults = faults_of(f'{{"userId":1,"amount":2,"requestId":{text}}}'.encode())
    assert list(faults) == ["/requestId"]
    assert faults["/requestId"].endswith(f"and was {fault}")


def test_every_faulty_member_is_named_at_once():
    assert faults_of(b'{"amount":"2","colour":"red","colour":1,"requestId":3}') == {
        "/amount": f"must be a whole number from 1 to {INTEGER_MAX}, and was a string",
        "/colour": "is unknown; the members are userId, amount, requestId",
        "/requestId": "must be a UUID such as 0198c5a0-7d3e-7c4a-9f10-6b2f5d1e8a77, and was a whole number",
        "/userId": "is missing",
    }


@pytest.mark.parametrize(
    "body",
    [
        b'{"userId":1,"amount":2,"amount":2}',
        b'{"userId":1,"amount":2,"amount":3}',
        b'{"userId":1,"amount":2,"\\u0061mount":3}',
        b'{"userId":1,"amount":2,"requestId":"%s","amount":3}' % REQUEST_ID.encode(),
    ],
)
def test_a_repeated_member_is_refused_even_with_the_same_value(body):
    assert faults_of(body) == {"/amount": "is given 2 times"}


@pytest.mark.parametrize(
    "body", [b"[]", b"7", b'"userId"', b"null", b"true", b"2.5", b'[{"userId":1,"amount":2}]']
)
def test_json_that_is_no_object_is_refused_as_a_whole(body):
    faults = faults_of(body)
    assert list(faults) == [""]
    assert faults[""].startswith("must be an object, and was ")


def test_an_empty_object_misses_both_members():
    assert faults_of(b"{}") == {"/userId": "is missing", "/amount": "is missing"}


def test_a_pointer_escapes_what_json_pointers_and_uris_reserve():
    body = json.dumps({"userId": 1, "amount": 2, "a/b~c d\u00e9#": 1}).encode()
    assert list(faults_of(body)) == ["/a~1b~0c%20d%C3%A9%23"]


def test_a_name_that_utf8_cannot_carry_is_shown_with_a_replacement():
    assert list(faults_of(b'{"userId":1,"amount":2,"\\ud800":1}')) == ["/%EF%BF%BD"]


def test_a_thousand_faults_are_counted_and_not_listed():
    body = json.dumps({f"m{n}": n for n in range(1000)}).encode()
    with pytest.raises(InvalidRequestError) as caught:
        parse_movement(body)
    assert len(caught.value.faults) == 21
    assert caught.value.faults[-1] == ("", "has 982 more faulty members")


# Refused, since it is no JSON


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "empty"),
        (b" \r\n\t", "empty"),
        (b"{", "line 1, column 2"),
        (b'{"userId":1,"amount":2', "line 1"),
        (b'{"userId":1,"amount":2,}', "line 1"),
        (b"{'userId':1}", "line 1"),
        (b'{"userId":1,\n"amount":01}', "line 2"),
        (b'{"userId":1,"amount":+1}', "line 1"),
        (b'{"userId":1,"amount":.5}', "line 1"),
        (b'{"userId":1,"amount":0x10}', "line 1"),
        (b"userId=1&amount=2", "line 1"),
        (b'{"userId":1,"amount":NaN}', "NaN"),
        (b'{"userId":1,"amount":Infinity}', "Infinity"),
        (b'{"userId":1,"amount":-Infinity}', "-Infinity"),
        (b'{"userId":1,"amount":2}{"userId":1,"amount":2}', "More follows"),
        (b'{"userId":1,"amount":2} x', "More follows"),
        (b'{"userId":1,"amount":2}\x00', "More follows"),
        (b'\xef\xbb\xbf{"userId":1,"amount":2}', "byte order mark"),
        ('{"userId":1,"amount":2}'.encode("utf-16"), "byte order mark"),
        ('{"userId":1,"amount":2}'.encode("utf-16-le"), "line 1"),
        (b'{"userId":1,"amount":2,"\xff":1}', "not UTF-8 at byte 25"),
        (b'{"userId":1,"amount":2,"\xed\xa0\x80":1}', "not UTF-8"),
        (b'{"a\nb":1}', "line 1"),
        (b"[" * 60_000, "nested too deep"),
        (b'{"userId":1,"amount":' + b"[" * 30_000 + b"]" * 30_000 + b"}", "nested too deep"),
        (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "nested too deep"),
    ],
)
def test_what_is_no_json_is_refused_with_its_place(body, says):
    with pytest.raises(InvalidJsonError, match=says):
        parse_movement(body)


@pytest.mark.parametrize(
    "digits", ["9" * 1_000_000, "-" + "9" * 1_000_000, "0." + "9" * 1_000_000, "1e" + "9" * 1_000_000]
)
def test_a_number_of_a_million_digits_costs_no_more_than_its_bytes(digits):
    before = time.process_time()
    faults_of(with_amount(digits))
    assert time.process_time() - before < 0.5


# Opening an account


@pytest.mark.parametrize(
    ("body", "balance"),
    [
        (b"", 0),
        (b"{}", 0),
        (b" { } ", 0),
        (b'{"balance":0}', 0),
        (b'{"balance":-0}', 0),
        (b'{"balance":10000}', 10_000),
        (b'{"balance":9007199254740991}', INTEGER_MAX),
    ],
)
def test_an_account_opens_with_its_balance_or_with_nothing(body, balance):
    assert parse_opening(body) == balance


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("-1", "negative"),
        ("9007199254740992", "too large"),
        ("null", "null"),
        ("0.0", "a number with a fraction or an exponent"),
        ('"1"', "a string"),
        ("false", "a boolean"),
    ],
)
def test_an_opening_balance_of_the_wrong_kind_or_size_is_named(text, fault):
    faults = faults_of(b'{"balance":%s}' % text.encode(), parse_opening)
    assert faults == {"/balance": f"must be a whole number from 0 to {INTEGER_MAX}, and was {fault}"}


def test_an_opening_body_of_blanks_is_no_json():
    with pytest.raises(InvalidJsonError):
        parse_opening(b"  ")


def test_a_repeated_opening_balance_is_refused():
    assert faults_of(b'{"balance":1,"balance":1}', parse_opening) == {"/balance": "is given 2 times"}


def test_a_route_without_members_takes_an_empty_body_or_object_alone():
    parse_nothing(b"")
    parse_nothing(b"{}")
    assert faults_of(b'{"force":true}', parse_nothing) == {"/force": "is unknown; no members are taken"}
