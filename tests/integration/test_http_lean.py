"""The lean path and the handlers give the same answers to the same bodies and keys, and count them alike."""

import pytest
from raw_http import post, raw
from two_ways import GOOD, KEY, LIMIT, NAMED, TOO_MUCH, USER, WITH_KEY, compare, counts, statuses

# Bodies

RIGHT = [
    GOOD,
    NAMED,
    b" " + GOOD + b"\r\n",
    GOOD.ljust(LIMIT),
    GOOD.replace(b"userId", b"\\u0075serId"),
]
REFUSED = [
    (TOO_MUCH, [409, 200]),
    (b'{"userId":9007199254740991,"amount":1}', [404, 404]),
    (f'{{"userId":{USER},"amount":9007199254740991}}'.encode(), [409, 409]),
]
INVALID = [
    b'{"userId":1,"amount":"2"}',
    b'{"userId":1,"amount":2.0}',
    b'{"userId":1,"amount":1e3}',
    b'{"userId":1,"amount":true}',
    b'{"userId":1,"amount":null}',
    b'{"userId":1,"amount":-2}',
    b'{"userId":1,"amount":0}',
    b'{"userId":1,"amount":9007199254740992}',
    b'{"userId":1,"amount":%s}' % (b"9" * 60_000),
    b'{"userId":1,"amount":[2]}',
    b'{"userId":"1","amount":2}',
    b'{"userId":1}',
    b"{}",
    b'{"userId":1,"amount":2,"amount":2}',
    b'{"userId":1,"amount":2,"note":"x"}',
    b'{"userId":1,"amount":2,"requestId":"x:y"}',
    b'{"userId":1,"amount":2,"requestId":null}',
    b'{"userId":1,"amount":2,"\\ud800":1}',
    b"[1,2]",
    b"null",
]
NOT_JSON = [
    b"",
    b" ",
    b"{",
    b"{'userId':1,'amount':2}",
    b'{"userId":1,"amount":2}{}',
    b'{"userId":1,"amount":NaN}',
    b'\xef\xbb\xbf{"userId":1,"amount":2}',
    b'{"userId":1,"amount":2,"\xff":1}',
    b"[" * 60_000,
    b"userId=1&amount=2",
]
ROUTES = ("/withdraw", "/deposit")


@pytest.mark.gen_test(timeout=60)
async def test_right_bodies_get_the_same_receipts(ways):
    for path in ROUTES:
        for body in RIGHT:
            found = await compare(ways, post(body, path=path))
            assert (statuses(found), found.is_kept) == ([200], True), body[:80]


@pytest.mark.gen_test(timeout=60)
async def test_refusals_of_the_database_are_the_same_documents(ways):
    for body, expected in REFUSED:
        for path, status in zip(ROUTES, expected, strict=True):
            assert statuses(await compare(ways, post(body, path=path))) == [status]


@pytest.mark.gen_test(timeout=60)
async def test_wrong_bodies_are_the_same_documents(ways):
    for path in ROUTES:
        for bodies, status in ((INVALID, 422), (NOT_JSON, 400)):
            for body in bodies:
                found = await compare(ways, post(body, path=path))
                assert (statuses(found), found.is_kept) == ([status], True), body[:80]


# Keys


@pytest.mark.gen_test(timeout=60)
async def test_right_keys_are_replayed_with_the_same_answers(ways):
    longest = f"Idempotency-Key: {KEY}".ljust(17 + 255 - 41 + len(KEY), "k")
    for line in (WITH_KEY, f'Idempotency-Key: "{KEY}"', f"idempotency-key:{KEY}", longest):
        for body, status in ((GOOD, 200), (NAMED, 200), (TOO_MUCH, 409)):
            first, again = (await compare(ways, post(body, line) * 2, 2)).answers
            assert first.start.split(" ")[1] == again.start.split(" ")[1] == str(status), line
            assert first.body == again.body
            assert (first.header("Idempotency-Replayed"), again.header("Idempotency-Replayed")) == (
                None,
                "true",
            )


@pytest.mark.gen_test(timeout=60)
async def test_a_key_for_something_else_is_the_same_refusal(ways):
    for other in (post(TOO_MUCH, WITH_KEY), post(GOOD, WITH_KEY, path="/deposit")):
        found = await compare(ways, post(GOOD, WITH_KEY) + other, 2)
        assert statuses(found) == [200, 422]
        assert b"idempotency_key_reused" in found.answers[1].body
    found = await compare(ways, post(NAMED) + post(NAMED, path="/deposit"), 2)
    assert statuses(found) == [200, 422]


@pytest.mark.gen_test(timeout=60)
async def test_wrong_keys_are_the_same_refusals(ways):
    for lines in (
        ["Idempotency-Key:"],
        ["Idempotency-Key: a b"],
        ["Idempotency-Key: " + "k" * 256],
        ['Idempotency-Key: "a'],
        ["Idempotency-Key: \xe9"],
        ["Idempotency-Key: \xa0a"],
        ["Idempotency-Key: a", "Idempotency-Key: a"],
    ):
        for body in (GOOD, b"{"):
            found = await compare(ways, post(body, *lines))
            assert (statuses(found), found.is_kept) == ([400], True), lines
            assert b"invalid_idempotency_key" in found.answers[0].body


# What is counted


@pytest.mark.gen_test(timeout=60)
async def test_both_ways_count_the_same(ways):
    for request in (
        *(post(body, path=path) for path in ROUTES for body in (GOOD, TOO_MUCH, b"{", b"{}")),
        post(GOOD, path="/withdraw?x=1"),
        post(GOOD, path="/nowhere"),
        post(GOOD, "Idempotency-Key: a b"),
        post(GOOD, "Content-Encoding: gzip"),
        raw("GET /deposit HTTP/1.1", "Host: x"),
        raw("OPTIONS /withdraw HTTP/1.1", "Host: x"),
        post(GOOD.ljust(LIMIT + 1)),
    ):
        await compare(ways, request)
    lean, handlers = [await counts(way.node) for way in ways]
    assert lean == handlers
    assert lean['method="POST",route="/withdraw",status="200"'] == 1
    assert lean['method="POST",route="/deposit",status="200"'] == 2
