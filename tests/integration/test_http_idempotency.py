"""Idempotency-Key over HTTP: one effect for each key, and the first answer for every repeat."""

import asyncio
from collections import Counter
from time import monotonic
from uuid import uuid4

import psycopg
import pytest
from http_service import (
    Answer,
    Service,
    frozen_backend,
    is_untouched,
    open_account,
    until,
    until_somebody_waits_for_a_lock,
)

KEY = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
TAKE = {"userId": 1, "amount": 30}
ROUTES = [
    ("/withdraw", TAKE),
    ("/deposit", TAKE),
    ("/withdrawals", {"withdrawals": [TAKE, {"userId": 1, "amount": 50_000}, {"userId": 99, "amount": 1}]}),
    ("/users", {"balance": 30}),
]


async def post(service: Service, path: str, body: object, key: str) -> Answer:
    return await service.call("POST", path, body, {KEY: key})


def is_replay(again: Answer, first: Answer) -> bool:
    """Whether an answer is the first one once more, in all but its date, and says so."""
    headers, first_headers = dict(again.headers.get_all()), dict(first.headers.get_all())
    headers["Date"] = first_headers["Date"]
    return (
        first.headers.get(REPLAYED) is None
        and headers.pop(REPLAYED, None) == "true"
        and headers == first_headers
        and (again.status, again.body) == (first.status, first.body)
    )


async def entries_of(service: Service, user_id: int = 1) -> list[int]:
    """The amounts on an account's ledger, oldest first, after the opening one."""
    entries = (await service.get(f"/users/{user_id}/entries?limit=1000"))["entries"]
    return [entry["amount"] for entry in reversed(entries)][1:]


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


# At the same moment


@pytest.fixture
def two_nodes(io_loop, service, database, tmp_path):
    other = Service(database, tmp_path, name="node-2")
    io_loop.run_sync(other.start)
    yield service, other
    io_loop.run_sync(other.stop)


@pytest.mark.parametrize(("path", "body"), ROUTES)
@pytest.mark.gen_test(timeout=60)
async def test_a_hundred_clients_with_one_key_cause_one_effect(two_nodes, path, body):
    answers = await asyncio.gather(
        *(post(node, path, body, "k") for node in two_nodes for _ in range(50)),
    )
    assert len({(answer.status, answer.body) for answer in answers}) == 1
    assert Counter(answer.headers.get(REPLAYED) for answer in answers) == {None: 1, "true": 99}
    node = two_nodes[0]
    expected = {"/withdraw": [-30], "/deposit": [30], "/withdrawals": [-30], "/users": []}
    assert await entries_of(node) == expected[path]
    assert (await node.call("GET", "/users/3")).status == 404


@pytest.mark.gen_test(timeout=60)
async def test_a_hundred_clients_with_one_key_and_other_payloads_cause_one_effect(two_nodes):
    answers = await asyncio.gather(
        *(
            post(node, path, {"userId": 1, "amount": amount}, "k")
            for amount in (1, 2, 3)
            for node in two_nodes
            for path in ("/withdraw", "/deposit")
            for _ in range(9)
        ),
    )
    assert len(await entries_of(two_nodes[0])) == 1
    assert Counter(answer.status for answer in answers) == {200: 18, 422: 90}
    assert len({answer.body for answer in answers if answer.status == 200}) == 1
    assert Counter(answer.headers.get(REPLAYED) for answer in answers) == {None: 91, "true": 17}


@pytest.mark.gen_test(timeout=60)
async def test_a_hundred_keys_at_once_are_a_hundred_effects(two_nodes):
    answers = await asyncio.gather(
        *(post(two_nodes[n % 2], "/withdraw", TAKE, f"k{n % 100}") for n in range(200))
    )
    assert Counter(answer.status for answer in answers) == {200: 200}
    assert await entries_of(two_nodes[0]) == [-30] * 100


@pytest.mark.parametrize(("path", "body"), ROUTES)
@pytest.mark.gen_test
async def test_the_outcome_is_kept_in_the_transaction_of_its_effect(service, database, path, body):
    with database.connect_as_owner() as owner:
        owner.execute(
            """create function refuse() returns trigger language plpgsql as
               $$ begin raise exception 'at the very end' using errcode = '42501'; end $$"""
        )
        for table in ("entries", "idempotency_keys"):
            # One of the two fails when the transaction commits: then there is neither.
            owner.execute(
                f"""create constraint trigger refuse after insert on {table}
                    deferrable initially deferred for each row execute function refuse()"""
            )
            assert (await post(service, path, body, "k")).is_problem(500, "internal_error")
            assert await is_untouched(service)
            assert owner.execute("select count(*) from idempotency_keys").fetchone() == (0,)
            owner.execute(f"drop trigger refuse on {table}")
    answer = await post(service, path, body, "k")
    assert (answer.status // 100, answer.headers.get(REPLAYED)) == (2, None)


# While the first is under way


@pytest.mark.gen_test(timeout=30)
async def test_the_same_key_waits_while_the_first_is_under_way(service, database):
    with psycopg.connect(database.application_url) as rival:
        rival.execute("select * from withdraw(1, 1)")
        first = asyncio.create_task(post(service, "/withdraw", TAKE, "k"))
        await until_somebody_waits_for_a_lock(database)
        others = [asyncio.create_task(post(service, "/withdraw", TAKE, "k")) for _ in range(5)]
        changed = asyncio.create_task(post(service, "/withdraw", TAKE | {"amount": 31}, "k"))
        await until(lambda: service.batcher.waiting.movements == 6)
        assert not any(task.done() for task in (first, *others, changed))
        rival.commit()
        answer = await first
        for other in others:
            assert is_replay(await other, answer)
        assert (await changed).is_problem(422, "idempotency_key_reused")
    assert await entries_of(service) == [-1, -30]


@pytest.fixture
def hasty_service(io_loop, database, tmp_path):
    """A node whose requests wait a second and no longer."""
    running = Service(database, tmp_path, deadline_seconds=1.0)
    io_loop.run_sync(running.start)
    yield running
    io_loop.run_sync(running.stop)


@pytest.mark.gen_test(timeout=30)
async def test_the_same_key_is_a_409_at_its_deadline_and_never_a_second_effect(hasty_service):
    await hasty_service.call("POST", "/withdraw", {"userId": 1, "amount": 1})
    with frozen_backend(hasty_service):
        first = asyncio.create_task(post(hasty_service, "/withdraw", TAKE, "k"))
        await until(lambda: hasty_service.batcher._sent)
        began = monotonic()
        second = await post(hasty_service, "/withdraw", TAKE, "k")
        assert monotonic() - began > 0.9
    assert second.is_problem(409, "idempotency_conflict")
    assert second.json["idempotencyKey"] == "k"
    assert (await first).is_problem(503, "outcome_unknown")
    third = await post(hasty_service, "/withdraw", TAKE, "k")
    assert third.status == 200
    assert await entries_of(hasty_service) == [-1, -30]


ELSEWHERE = [
    ("/withdraw", {"userId": 1, "amount": 10}),
    ("/withdrawals", {"withdrawals": [{"userId": 1, "amount": 10}]}),
    ("/users", {"balance": 10}),
]


def hold_key(rival: psycopg.Connection, user_id: int, amount: int) -> None:
    """Decides a movement with the key "k", as a node would, and does not commit yet."""
    rival.execute(
        "select * from post_batch(array[%s]::bigint[], array[%s]::bigint[], array[%s]::uuid[], null, array['k'])",
        [user_id, amount, uuid4()],
    )


@pytest.mark.parametrize("holder", ["the same account", "another account"])
@pytest.mark.parametrize(("path", "body"), ELSEWHERE)
@pytest.mark.gen_test(timeout=30)
async def test_a_key_under_way_on_another_node_is_waited_for(service, database, path, body, holder):
    other = await open_account(service, 100)
    with psycopg.connect(database.application_url) as rival:
        hold_key(rival, 1 if holder == "the same account" else other, -10)
        asked = asyncio.create_task(post(service, path, body, "k"))
        if path == "/withdrawals" and holder == "the same account":
            await until(lambda: service.batcher.waiting._away)  # a list never waits inside the database
        else:
            await until_somebody_waits_for_a_lock(database)
        rival.commit()
    answer = await asked
    if path == "/withdraw" and holder == "the same account":
        assert (answer.status, answer.headers[REPLAYED]) == (200, "true")
    else:
        assert answer.is_problem(422, "idempotency_key_reused")
    assert await entries_of(service) == ([-10] if holder == "the same account" else [])
    assert (await service.call("GET", f"/users/{other + 1}")).status == 404


@pytest.mark.parametrize(("path", "body"), ELSEWHERE)
@pytest.mark.gen_test(timeout=30)
async def test_a_key_whose_first_request_comes_to_nothing_is_free(service, database, path, body):
    other = await open_account(service, 100)
    with psycopg.connect(database.application_url) as rival:
        hold_key(rival, other, -10)
        asked = asyncio.create_task(post(service, path, body, "k"))
        await until_somebody_waits_for_a_lock(database)
        rival.rollback()
    answer = await asked
    assert (answer.status // 100, answer.headers.get(REPLAYED)) == (2, None)
    assert await entries_of(service, other) == []


@pytest.mark.parametrize("holder", ["the same account", "another account"])
@pytest.mark.parametrize(("path", "body"), ELSEWHERE)
@pytest.mark.gen_test(timeout=30)
async def test_a_key_under_way_on_another_node_until_the_deadline_never_has_two_effects(
    hasty_service, database, path, body, holder
):
    other = await open_account(hasty_service, 100)
    with psycopg.connect(database.application_url) as rival:
        hold_key(rival, 1 if holder == "the same account" else other, -10)
        answer = await post(hasty_service, path, body, "k")
        rival.rollback()
    if path == "/users":
        assert answer.is_problem(409, "idempotency_conflict")
    else:
        # That it is the key's first request for which it waits is not known on this node.
        assert answer.status == 503
        assert answer.json["code"] in {"account_busy", "overloaded", "outcome_unknown"}
    await hasty_service.batcher.drained()
    assert (await post(hasty_service, path, body, "k")).status in {200, 201}
    assert await entries_of(hasty_service) == ([] if path == "/users" else [-10])
    assert await entries_of(hasty_service, other) == []
    assert (await hasty_service.call("GET", f"/users/{other + 2}")).status == 404


@pytest.mark.parametrize(("path", "body"), ROUTES)
@pytest.mark.gen_test(timeout=30)
async def test_a_connection_lost_in_the_middle_is_repeated_and_counts_once(service, database, path, body):
    await service.get("/users/1")
    with database.connect_as_owner() as rival, database.connect() as killer:
        rival.execute("begin")
        rival.execute("lock table idempotency_keys in exclusive mode")
        asked = asyncio.create_task(post(service, path, body, "k"))
        await until_somebody_waits_for_a_lock(database)
        killer.execute(
            """select pg_terminate_backend(pid) from pg_stat_activity
               where wait_event_type = 'Lock' and datname = current_database()"""
        )
        await until_somebody_waits_for_a_lock(database)
        rival.execute("commit")
        first = await asked
    assert first.status in {200, 201}
    again = await post(service, path, body, "k")
    assert (again.body, again.headers[REPLAYED]) == (first.body, "true")
    assert len(await entries_of(service)) == (0 if path == "/users" else 1)
    assert (await service.call("GET", "/users/3")).status == 404


# Pruning


@pytest.mark.gen_test
async def test_a_key_counts_until_it_is_pruned_and_is_new_after_that(service, database):
    for path, body in (ROUTES[0], ROUTES[3]):
        first = await post(service, path, body, path)
        with database.connect() as pruner:
            assert pruner.execute("select prune_idempotency_keys('24 hours', 100)").fetchone() == (0,)
            assert is_replay(await post(service, path, body, path), first)
            assert pruner.execute("select prune_idempotency_keys('0', 100)").fetchone() >= (1,)
        anew = await post(service, path, body, path)
        assert (anew.status, anew.headers.get(REPLAYED)) == (first.status, None)
        assert anew.body != first.body
    assert await entries_of(service) == [-30, -30]
