"""The same Idempotency-Key while its first request is under way: on this node, on another, or stuck."""

import asyncio
from time import monotonic
from uuid import uuid4

import psycopg
import pytest
from http_service import (
    frozen_backend,
    insist,
    open_account,
    until,
    until_somebody_waits_for_a_lock,
)
from keyed_requests import REPLAYED, ROUTES, TAKE, entries_of, is_replay, post


@pytest.mark.gen_test(timeout=30)
async def test_the_same_key_waits_while_the_first_is_under_way(service, database):
    with psycopg.connect(database.direct_url) as rival:
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


@pytest.mark.gen_test(timeout=30)
async def test_the_same_key_is_a_409_at_its_deadline_and_never_a_second_effect(hasty_service):
    await hasty_service.call("POST", "/withdraw", {"userId": 1, "amount": 1})
    with frozen_backend(hasty_service):
        first = asyncio.create_task(post(hasty_service, "/withdraw", TAKE, "k"))
        await until(lambda: hasty_service.batcher.under_way)
        began = monotonic()
        second = await post(hasty_service, "/withdraw", TAKE, "k")
        assert monotonic() - began > 0.9
    assert second.is_problem(409, "idempotency_conflict")
    assert second.json["idempotencyKey"] == "k"
    assert (await first).is_problem(503, "outcome_unknown")
    third = await insist(lambda: post(hasty_service, "/withdraw", TAKE, "k"))
    assert third.status == 200
    assert await entries_of(hasty_service) == [-1, -30]


@pytest.mark.gen_test(timeout=30)
async def test_a_repeat_that_overtakes_a_stuck_first_has_the_one_effect(hasty_service, database):
    await hasty_service.call("POST", "/withdraw", {"userId": 1, "amount": 1})
    stuck = hasty_service.poster._connection.info.backend_pid
    with frozen_backend(hasty_service):
        first = await post(hasty_service, "/withdraw", TAKE, "k")
        assert first.is_problem(503, "outcome_unknown")
        second = await insist(lambda: post(hasty_service, "/withdraw", TAKE, "k"))
        assert second.status == 200
    with database.connect() as watcher:
        # Awake again, it does what it had been sent, to nobody.
        while watcher.execute("select from pg_stat_activity where pid = %s", [stuck]).fetchone():
            await asyncio.sleep(0.01)
    assert await entries_of(hasty_service) == [-1, -30]
    assert (await post(hasty_service, "/withdraw", TAKE, "k")).body == second.body


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
    with psycopg.connect(database.direct_url) as rival:
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
    with psycopg.connect(database.direct_url) as rival:
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
    with psycopg.connect(database.direct_url) as rival:
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
    assert (await insist(lambda: post(hasty_service, path, body, "k"))).status in {200, 201}
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
