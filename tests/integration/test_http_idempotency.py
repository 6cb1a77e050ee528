"""Idempotency-Key over HTTP: one effect for each key, and the first answer for every repeat."""

import asyncio
from uuid import uuid4

import pytest
from http_service import (
    Service,
    is_untouched,
    open_account,
)
from keyed_requests import KEY, REPLAYED, ROUTES, TAKE, entries_of, is_replay, post

# Repeats


@pytest.mark.parametrize(("path", "body"), ROUTES)
@pytest.mark.gen_test
async def test_a_repeat_gets_the_first_answer_byte_for_byte_and_moves_nothing(service, path, body):
    first = await post(service, path, body, "k")
    assert first.status in {200, 201}
    before = await entries_of(service)
    await service.call("POST", "/deposit", {"userId": 1, "amount": 100_000})
    for _ in range(3):
        assert is_replay(await post(service, path, body, "k"), first)
    assert await entries_of(service) == [*before, 100_000]


@pytest.mark.parametrize(("path", "body"), ROUTES)
@pytest.mark.gen_test
async def test_another_key_is_another_request(service, path, body):
    first, other = await post(service, path, body, "a"), await post(service, path, body, "b")
    assert first.status == other.status
    assert first.body != other.body
    assert REPLAYED not in other.headers


@pytest.mark.parametrize(("path", "body"), ROUTES)
@pytest.mark.gen_test
async def test_a_repeat_on_another_node_gets_the_first_answer(service, database, tmp_path, path, body):
    first = await post(service, path, body, "k")
    other = Service(database, tmp_path, name="node-2")
    await other.start()
    try:
        assert is_replay(await post(other, path, body, "k"), first)
    finally:
        await other.stop()


@pytest.mark.gen_test
async def test_a_refusal_is_repeated_even_when_it_would_succeed_by_now(service):
    full = await open_account(service, 2**53 - 1)
    taken = str(uuid4())
    await service.call("POST", "/withdraw", TAKE | {"requestId": taken})
    refused = [
        ("/withdraw", {"userId": 1, "amount": 20_000}, 409, "insufficient_funds"),
        ("/withdraw", {"userId": full + 1, "amount": 5}, 404, "user_not_found"),
        ("/deposit", {"userId": full, "amount": 1}, 409, "balance_limit"),
        ("/withdraw", {"userId": full, "amount": 1, "requestId": taken}, 422, "request_id_reused"),
    ]
    firsts = [await post(service, path, body, f"k{n}") for n, (path, body, *_) in enumerate(refused)]
    for first, (*_, status, code) in zip(firsts, refused, strict=True):
        assert first.is_problem(status, code)
    await service.call("POST", "/deposit", {"userId": 1, "amount": 100_000})
    await service.call("POST", "/withdraw", {"userId": full, "amount": 1000})
    assert await open_account(service, 100) == full + 1
    for n, (first, (path, body, *_)) in enumerate(zip(firsts, refused, strict=True)):
        assert is_replay(await post(service, path, body, f"k{n}"), first), body
    assert await entries_of(service, full + 1) == []


@pytest.mark.gen_test
async def test_what_validation_refuses_is_not_kept(service):
    wrong = [
        (b"{", 400),
        (b'{"userId":1,"amount":-30}', 422),
        (b'{"userId":1,"amount":30,"amount":30}', 422),
        (b" " * 70_000, 413),
    ]
    for body, status in wrong:
        headers = {KEY: "k", "Content-Type": "application/json"}
        assert (await service.call("POST", "/withdraw", body, headers)).status == status
    assert (await service.call("POST", "/withdraw?x=1", TAKE, {KEY: "k"})).status == 422
    answer = await post(service, "/withdraw", TAKE, "k")
    assert (answer.status, answer.headers.get(REPLAYED)) == (200, None)


@pytest.mark.gen_test
async def test_a_client_that_left_before_its_answer_finds_it_by_its_key(service):
    _, writer = await service.connect()
    body = b'{"userId":1,"amount":30}'
    head = f"POST /withdraw HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{KEY}: k\r\n"
    writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    await writer.drain()
    while not service.batcher.batches:
        await asyncio.sleep(0.01)
    writer.close()
    again = await post(service, "/withdraw", TAKE, "k")
    assert (again.status, again.headers[REPLAYED], again.json["balance"]) == (200, "true", 9970)


# The same key for something else


@pytest.mark.gen_test
async def test_a_key_with_another_payload_is_a_422_and_keeps_its_first_answer(service):
    other = await open_account(service, 100)
    requests = [
        *ROUTES,
        ("/withdraw", {"userId": 1, "amount": 31}),
        ("/withdraw", {"userId": other, "amount": 30}),
        ("/withdraw", TAKE | {"requestId": str(uuid4())}),
        ("/deposit", {"userId": other, "amount": 30}),
        ("/withdrawals", {"withdrawals": [TAKE]}),
        ("/withdrawals", {"withdrawals": [TAKE, TAKE]}),
        ("/users", {"balance": 31}),
        ("/users", {}),
    ]
    for kept, (path, body) in enumerate(ROUTES):
        key = f"k{kept}"
        first = await post(service, path, body, key)
        before = await entries_of(service), await entries_of(service, other)
        for other_path, other_body in requests:
            if (other_path, other_body) == (path, body):
                continue
            answer = await post(service, other_path, other_body, key)
            assert answer.is_problem(422, "idempotency_key_reused"), (path, other_path, other_body)
            assert answer.json["idempotencyKey"] == key
            assert REPLAYED not in answer.headers
        assert is_replay(await post(service, path, body, key), first)
        assert (await entries_of(service), await entries_of(service, other)) == before


@pytest.mark.gen_test
async def test_the_form_of_the_payload_does_not_count(service):
    first = await post(service, "/withdraw", TAKE, "k")
    spaced = b' {"amount" : 30, "userId" : 1} '
    headers = {KEY: "k", "Content-Type": "application/json; charset=utf-8"}
    assert is_replay(await service.call("POST", "/withdraw", spaced, headers), first)
    named = TAKE | {"requestId": first.json["requestId"].upper()}
    assert is_replay(await post(service, "/withdraw", named, "k"), first)


# Keys


@pytest.mark.gen_test
async def test_a_key_is_the_same_bare_and_as_a_quoted_string(service):
    first = await post(service, "/withdraw", TAKE, 'a\\"b')
    assert is_replay(await post(service, "/withdraw", TAKE, '"a\\\\\\"b"'), first)


@pytest.mark.gen_test
async def test_keys_differ_by_case_and_by_every_visible_character(service):
    keys = [*map(chr, range(0x23, 0x7F)), "!", 'x"', "{}", "NULL", "a,b", "k" * 255, "k" * 254 + "l"]
    answers = [await post(service, "/withdraw", {"userId": 1, "amount": 1}, key) for key in keys]
    assert {answer.status for answer in answers} == {200}
    assert await entries_of(service) == [-1] * len(keys)
    for key, first in zip(keys, answers, strict=True):
        assert is_replay(await post(service, "/withdraw", {"userId": 1, "amount": 1}, key), first), key


@pytest.mark.gen_test
async def test_a_key_that_is_none_is_a_400_on_every_route_and_changes_nothing(service):
    for path, body in ROUTES:
        for key in ("k" * 256, "a b", '"a', "\u00e9", ""):
            answer = await post(service, path, body, key)
            assert answer.is_problem(400, "invalid_idempotency_key"), (path, key)
    assert await is_untouched(service)
