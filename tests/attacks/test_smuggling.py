"""Requests that two servers in a row could read differently, and paths and strings that are not what they seem."""

import asyncio
from urllib.parse import quote

import pytest
from target import BODY, Target, request

pytestmark = pytest.mark.xdist_group("attacks")
SMUGGLED = request("POST /withdraw", body=b'{"userId":1,"amount":7}')
START = b"POST /withdraw HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CHUNKS = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)

AMBIGUOUS = {
    "length and chunks": START + LENGTH + CHUNKED + b"\r\n" + CHUNKS + SMUGGLED,
    "chunks and length": START + CHUNKED + b"Content-Length: 4\r\n\r\n" + CHUNKS + SMUGGLED,
    "two lengths": START + LENGTH + b"Content-Length: 0\r\n\r\n" + BODY + SMUGGLED,
    "two lengths in one line": START + b"Content-Length: 0, %d\r\n\r\n" % len(BODY) + BODY + SMUGGLED,
    "a signed length": START + b"Content-Length: +0\r\n\r\n" + SMUGGLED,
    "a length in hex": START + b"Content-Length: 0x0\r\n\r\n" + SMUGGLED,
    "a blank before the colon": START + b"Content-Length : 0\r\n\r\n" + SMUGGLED,
    "a bare LF between headers": START + b"X: 1\n" + LENGTH + b"\r\n" + BODY + SMUGGLED,
    "a bare LF at the end": START + LENGTH + b"\n" + BODY + SMUGGLED,
    "bare LFs alone": (START + LENGTH).replace(b"\r\n", b"\n") + b"\n" + BODY + SMUGGLED,
    "a bare CR": START + b"X: 1\rContent-Length: 0\r\n\r\n" + SMUGGLED,
    "a folded header": START + b"X: 1\r\n Content-Length: 0\r\n" + LENGTH + b"\r\n" + BODY + SMUGGLED,
    "a header folded by a tab": START + b"Transfer-Encoding:\r\n\tchunked\r\n\r\n" + CHUNKS + SMUGGLED,
    "an unknown coding": START + b"Transfer-Encoding: xchunked\r\n\r\n" + CHUNKS + SMUGGLED,
    "two codings": START + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + CHUNKS + SMUGGLED,
    "chunked twice": START + CHUNKED + CHUNKED + b"\r\n" + CHUNKS + SMUGGLED,
    "chunked that is not last": START + b"Transfer-Encoding: chunked, identity\r\n\r\n" + CHUNKS + SMUGGLED,
    "a chunk's size with 0x": START + CHUNKED + b"\r\n0x17\r\n" + BODY + b"\r\n0\r\n\r\n" + SMUGGLED,
    "a chunk's size with a sign": START + CHUNKED + b"\r\n+17\r\n" + BODY + b"\r\n0\r\n\r\n" + SMUGGLED,
    "a chunk's size with a blank": START + CHUNKED + b"\r\n17 \r\n" + BODY + b"\r\n0\r\n\r\n" + SMUGGLED,
    "a chunk's size after a bare LF": START + CHUNKED + b"\r\n17\n" + BODY + b"\r\n0\r\n\r\n" + SMUGGLED,
    "a chunk with more than its size": START + CHUNKED + b"\r\n1\r\n" + BODY + b"\r\n0\r\n\r\n" + SMUGGLED,
    "a chunk of a huge size": START + CHUNKED + b"\r\n" + b"f" * 40 + b"\r\n" + BODY + SMUGGLED,
    "a trailer": START + CHUNKED + b"\r\n0\r\nContent-Length: 5\r\n\r\n" + SMUGGLED,
    "a NUL in a header": START + b"X: a\0b\r\n" + LENGTH + b"\r\n" + BODY + SMUGGLED,
    "no colon": START + b"Content-Length\r\n\r\n" + SMUGGLED,
    "two hosts": START + b"Host: elsewhere\r\n" + LENGTH + b"\r\n" + BODY + SMUGGLED,
    "another protocol": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + SMUGGLED,
    "no version": b"POST /withdraw\r\n\r\n" + SMUGGLED,
}


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_what_could_be_read_in_two_ways_is_read_in_none(target: Target, name: str) -> None:
    before = target.ledger()
    said = asyncio.run(target.said(AMBIGUOUS[name]))
    assert said.count(b"HTTP/1.1 ") <= 1, said
    assert said == b"" or said.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 413 ")), said
    assert target.ledger() == before


def test_the_node_is_unharmed_by_a_crowd_of_them(target: Target) -> None:
    async def crowd() -> None:
        await asyncio.gather(*(target.said(data) for data in list(AMBIGUOUS.values()) * 20))

    with target.unharmed():
        asyncio.run(crowd())


def test_paths_lead_nowhere_but_to_routes(target: Target) -> None:
    climbs = ["..", "%2e%2e", "..%2f", "%2e%2e%2f", "..%5c", "..;", "%c0%ae%c0%ae", "....", "%252e%252e"]
    files = ["etc/passwd", "config.yaml", "server/web/gate.py", "main.js%00.html"]
    with target.unharmed():
        for base in ("/docs", "/static/0", "/static/..", ""):
            for climb in climbs:
                for file in files:
                    path = f"{base}/{climb}/{climb}/{climb}/{file}"
                    status, said = asyncio.run(target.answer(request(f"GET {path}")))
                    assert status == 404, (path, said)
                    assert b"root:" not in said
        for path in ("/static/0/%2e%2e%2findex.html", "/static/0/..%2fgate.py", "/docs/page.html"):
            assert asyncio.run(target.answer(request(f"GET {path}")))[0] == 404


SQL = [
    "1; drop table users --",
    "' or '1'='1",
    "'; update users set balance = 0; --",
    "1) union select 1,2 --",
    "$$;select pg_sleep(20);$$",
    "%s%(name)s{}",
    "\\'; select pg_sleep(20); --",
    "x'||(select 1)||'",
    "a\0b",
    "’; select 1; --",
]


def injections(sql: str) -> list[bytes]:
    """A statement in every string that a request can carry."""
    text = quote(sql, safe="")
    shown = sql.encode("utf-8").decode("latin1").replace("\0", "")
    paths = [
        *(f"/users/{text}", f"/users/{text}/entries", f"/requests/{text}", f"/runs/{text}", f"/tasks/{text}"),
        *(f"/tasks/{text}/placement", f"/static/{text}/{text}", f"/users/1?at={text}"),
        *(f"/users/1/entries?cursor={text}", f"/users/1/entries?limit={text}", f"/runs?cursor={text}"),
        *(f"/runs?{name}={text}" for name in ("task", "node", "status", "since", "until", "limit", text)),
        *(f"/events?follow=false&{name}={text}" for name in ("since", "task", "kind")),
        *(f"/money/pulse?seconds={text}", f"/tasks?durations={text}", f"/audit?cursor={text}"),
    ]
    body = b'{"userId":1,"amount":1,"requestId":"%b"}' % sql.replace("\\", "\\\\").replace("\0", "").encode()
    return [
        *(request(f"GET {path}") for path in paths),
        *(request(f"POST /tasks/{text}/{action}") for action in ("run", "pause", "resume")),
        *(
            request("GET /events?follow=false", f"Last-Event-ID: {shown}"),
            request(f"POST /runs/{text}/cancel"),
        ),
        request("POST /withdraw", body=body),
        request("POST /withdraw", f"Idempotency-Key: {shown}", body=body),
        request("POST /withdrawals", body=b'{"withdrawals":[%b]}' % body),
    ]


def test_statements_in_strings_stay_strings(target: Target) -> None:
    with target.unharmed():
        for sql in SQL:
            for data in injections(sql):
                status, said = asyncio.run(target.answer(data))
                assert status in {400, 404, 422}, (data[:200], said[:300])
        assert "syntax error" not in target.fleet.log(1)


def test_a_key_that_is_a_statement_is_a_key(target: Target) -> None:
    with target.unharmed():
        for key in ("';drop/**/table/**/users;--", "$1", "%s", "\\'"):
            data = request("POST /withdraw", f"Idempotency-Key: {key}", body=b'{"userId":77,"amount":1}')
            assert asyncio.run(target.answer(data))[0] == 404
            assert asyncio.run(target.answer(data))[0] == 404
