"""Bodies and heads that no client sends by mistake."""

import asyncio
import json

import pytest
from target import BODY, Target, request

pytestmark = pytest.mark.xdist_group("attacks")
MILLION = 1_000_000
TIMES = 5

BODIES = {
    "nested arrays": b'{"withdrawals":' + b"[" * MILLION + b"]" * 1_000_000 + b"}",
    "nested objects": b'{"a":' * 300_000 + b"1" + b"}" * 300_000,
    "an array without end": b'{"withdrawals":' + b"[" * 2_000_000,
    "a million digits": b'{"withdrawals":[{"userId":1,"amount":' + b"9" * MILLION + b"}]}",
    "a million digits after the point": b'{"withdrawals":[{"userId":1,"amount":1.' + b"0" * MILLION + b"1}]}",
    "a million digits of an exponent": b'{"withdrawals":[{"userId":1,"amount":1e' + b"9" * MILLION + b"}]}",
    "negative digits": b'{"withdrawals":[{"userId":-' + b"9" * MILLION + b',"amount":1}]}',
    "a member a hundred thousand times": b"{" + b'"withdrawals":[],' * 100_000 + b'"withdrawals":[]}',
    "a hundred thousand members": json.dumps({f"m{number}": 1 for number in range(100_000)}).encode(),
    "repeated amounts": b'{"withdrawals":[{"userId":1,"amount":1,"amount":10000}]}',
    "a name of a megabyte": b'{"' + b"a" * MILLION + b'":1}',
    "a string of a megabyte": b'{"withdrawals":[{"userId":1,"amount":1,"requestId":"'
    + b"a" * MILLION
    + b'"}]}',
    "no UTF-8": b'{"withdrawals":[{"userId":1,"amount":1,"requestId":"\xff\xfe"}]}',
    "overlong UTF-8": b'{"withdrawals":[{"userId":1,"amount":1,"requestId":"\xc0\xaf"}]}',
    "half a surrogate": b'{"withdrawals":[{"userId":1,"amount":1,"requestId":"\\ud800"}]}',
    "a byte order mark": b'\xef\xbb\xbf{"withdrawals":[{"userId":1,"amount":1}]}',
    "UTF-16": '{"withdrawals":[{"userId":1,"amount":1}]}'.encode("utf-16"),
    "not a number": b'{"withdrawals":[{"userId":1,"amount":NaN}]}',
    "true for one": b'{"withdrawals":[{"userId":true,"amount":1}]}',
    "two documents": b'{"withdrawals":[{"userId":1,"amount":1}]}{"withdrawals":[{"userId":1,"amount":1}]}',
    "nothing but blanks": b" " * MILLION,
    "zero bytes": b"\0" * MILLION,
}
LONE = {
    "repeated keys": b'{"userId":1,"amount":1,"amount":2}',
    "repeated keys, one escaped": b'{"userId":1,"amount":1,"\\u0061mount":2}',
    "nested": b'{"userId":' + b"[" * 60_000 + b",1}",
    "digits": b'{"userId":1,"amount":' + b"1" * 60_000 + b"}",
    "no UTF-8": b'{"userId":1,"amount":1,"requestId":"\xff"}',
}


def test_monstrous_lists_are_refused_each_in_its_own_words(target: Target) -> None:
    with target.unharmed():
        for name, body in BODIES.items():
            for _ in range(TIMES):
                status, said = asyncio.run(target.answer(request("POST /withdrawals", body=body)))
                assert status in {400, 422}, (name, status, said[:200])
                assert len(said) < 20_000, name


def test_monstrous_bodies_are_refused_on_the_lean_path_and_by_the_handlers(target: Target) -> None:
    with target.unharmed():
        for name, body in LONE.items():
            for path in ("/withdraw", "/deposit", "/users"):
                for line in ((), ("Content-Encoding: identity",)):
                    status, said = asyncio.run(target.answer(request(f"POST {path}", *line, body=body)))
                    assert status in {400, 422}, (name, path, status, said[:200])


def test_a_crowd_of_monsters_at_once_is_survived(target: Target) -> None:
    async def crowd() -> list[tuple[int, bytes]]:
        bodies = list(BODIES.values())[:8] * 5
        return await asyncio.gather(
            *(target.answer(request("POST /withdrawals", body=body)) for body in bodies)
        )

    with target.unharmed():
        assert {status for status, _ in asyncio.run(crowd())} <= {400, 422}


def test_heads_without_measure_are_refused_or_cut_off(target: Target) -> None:
    lines = {
        "many": [f"X-{number}: 1" for number in range(5_000)],
        "long": ["X: " + "x" * 200_000],
        "beyond what is read": ["X: " + "x" * 1_000_000],
        "cookies": ["Cookie: " + "; ".join(f"c{number}=1" for number in range(20_000))],
        "one name": ["Accept: */*"] * 4_000,
    }

    async def crowd() -> list[bytes]:
        heads = [request("POST /withdraw", *head, body=BODY) for head in lines.values() for _ in range(20)]
        return await asyncio.gather(*(target.said(head) for head in heads))

    with target.unharmed():
        for said in asyncio.run(crowd()):
            assert said == b"" or said.startswith(b"HTTP/1.1 431 ")
