"""POST /withdrawals beside others: locked accounts, lost answers, clients that leave, too much at once."""

import asyncio
import json
import threading
from collections import Counter
from uuid import uuid4

import psycopg
import pytest
from http_service import (
    Service,
    frozen_backend,
    insist,
    open_account,
    until,
    until_somebody_waits_for_a_lock,
)
from raw_http import post
from withdrawal_lists import MANY, ONE, balance_of, post_list, take

from server.money import waiting as waiting_room


@pytest.mark.gen_test(timeout=60)
async def test_lists_over_the_same_accounts_in_any_order_on_two_nodes_all_get_answers(
    service, database, tmp_path
):
    accounts = [await open_account(service, 100) for _ in range(10)]
    other = Service(database, tmp_path, name="node-2")
    await other.start()
    try:
        answers = await asyncio.gather(
            *(
                post_list(node, [take(user_id, 3) for user_id in (accounts if n % 2 else accounts[::-1])])
                for node in (service, other)
                for n in range(20)
            ),
            *(service.call("POST", "/withdraw", take(user_id, 3)) for user_id in accounts),
        )
    finally:
        await other.stop()
    assert {answer.status for answer in answers} <= {200, 409}
    results = [result for answer in answers[:40] for result in answer.json["results"]]
    results += [answer.json | {"status": answer.status} for answer in answers[40:]]
    assert Counter(result["status"] for result in results) == {200: 330, 409: 80}
    assert {await balance_of(service, user_id) for user_id in accounts} == {1}


@pytest.mark.gen_test(timeout=30)
async def test_a_list_that_waits_for_an_account_lets_everybody_else_pass(service, database):
    other = await open_account(service, 100)
    with psycopg.connect(database.direct_url) as rival:
        rival.execute("select * from withdraw(1, 1)")
        waits = asyncio.create_task(post_list(service, [ONE, take(other, 1)]))
        await until(lambda: service.batcher.waiting._away)
        assert (await service.call("POST", "/withdraw", take(other, 10))).status == 200
        assert (await post_list(service, [take(other, 10)])).status == 200
        assert not waits.done()
        rival.commit()
    assert [result["balance"] for result in (await waits).json["results"]] == [9998, 79]


@pytest.mark.gen_test(timeout=60)
async def test_a_list_gets_its_turn_on_an_account_that_is_never_free(hasty_service, database):
    done = threading.Event()

    def hold() -> None:
        # Two of these take turns: while one holds the account, the other waits for it.
        with psycopg.connect(database.direct_url) as rival:
            while not done.is_set():
                rival.execute("select * from withdraw(1, 1)")
                rival.execute("select pg_sleep(0.1)")
                rival.commit()

    rivals = [threading.Thread(target=hold) for _ in range(2)]
    for rival in rivals:
        rival.start()
    try:
        await until_somebody_waits_for_a_lock(database)
        answers = [await post_list(hasty_service, [ONE]) for _ in range(3)]
    finally:
        done.set()
        for rival in rivals:
            rival.join()
    assert [answer.status for answer in answers] == [200, 200, 200]


@pytest.mark.gen_test(timeout=30)
async def test_a_list_with_an_account_that_somebody_holds_until_the_deadline_does_nothing(
    hasty_service, database
):
    other = await open_account(hasty_service, 100)
    with psycopg.connect(database.direct_url) as rival:
        rival.execute("select * from withdraw(1, 1)")
        answer = await post_list(hasty_service, [take(other, 1), ONE], "k")
        assert answer.is_problem(503, "account_busy")
        assert answer.headers["Retry-After"] == "1"
        rival.rollback()
    assert await balance_of(hasty_service, other) == 100
    again = await insist(lambda: post_list(hasty_service, [take(other, 1), ONE], "k"))
    assert again.status == 200
    assert (await balance_of(hasty_service), await balance_of(hasty_service, other)) == (9999, 99)


@pytest.mark.gen_test(timeout=30)
async def test_a_list_that_was_sent_and_not_answered_is_unknown_and_can_be_repeated(hasty_service):
    await post_list(hasty_service, [ONE])
    named = str(uuid4())
    wanted = [take(1, 30, named), take(1, 40)]
    with frozen_backend(hasty_service):
        answer = await post_list(hasty_service, wanted, "k")
    assert answer.is_problem(503, "outcome_unknown")
    assert answer.json["requestId"] == named
    again = await insist(lambda: post_list(hasty_service, wanted, "k"))
    assert [result["balance"] for result in again.json["results"]] == [9969, 9929]
    assert await balance_of(hasty_service) == 9929


@pytest.mark.gen_test(timeout=30)
async def test_a_list_counts_once_when_its_connection_is_lost_in_the_middle(service, database):
    await post_list(service, [ONE])
    with database.connect_as_owner() as rival, database.connect() as killer:
        rival.execute("begin")
        rival.execute("lock table entries in exclusive mode")
        asked = asyncio.create_task(post_list(service, [ONE, take(1, 20_000)]))
        await until_somebody_waits_for_a_lock(database)
        killer.execute(
            """select pg_terminate_backend(pid) from pg_stat_activity
               where wait_event_type = 'Lock' and datname = current_database()"""
        )
        await until_somebody_waits_for_a_lock(database)
        rival.execute("commit")
        results = (await asked).json["results"]
    assert [result["status"] for result in results] == [200, 409]
    assert await balance_of(service) == 9998


@pytest.mark.gen_test(timeout=30)
async def test_a_list_whose_client_has_gone_before_it_was_sent_is_not_executed(service):
    await post_list(service, [ONE])
    with frozen_backend(service):
        under_way = asyncio.create_task(post_list(service, [ONE]))
        await until(lambda: service.batcher.under_way)
        _, leaving = await service.connect()
        body = json.dumps({"withdrawals": [take(1, 100)] * 10}).encode()
        leaving.write(post(body, path="/withdrawals"))
        await until(lambda: service.batcher.waiting.movements == 10)
        leaving.close()
        await until(lambda: not all(one.wish.is_wanted() for one in service.batcher.waiting))
    assert (await under_way).status == 200
    await service.batcher.drained()
    assert await balance_of(service) == 9998


@pytest.mark.gen_test(timeout=60)
async def test_more_withdrawals_than_may_wait_are_overloaded_and_nothing_happens(service, monkeypatch):
    monkeypatch.setattr(waiting_room, "QUEUE_MOVEMENTS_MAX", 4 * MANY)
    user_id = await open_account(service, 9)
    await post_list(service, [ONE])
    with frozen_backend(service):
        under_way = asyncio.create_task(post_list(service, [ONE]))
        await until(lambda: service.batcher.under_way)
        waiting = [asyncio.create_task(post_list(service, [take(user_id, 10)] * MANY)) for _ in range(4)]
        await until(lambda: service.batcher.waiting.movements == 4 * MANY)
        refused = await post_list(service, [ONE])
        assert refused.is_problem(503, "overloaded")
        assert refused.headers["Retry-After"] == "1"
        assert (await service.call("POST", "/withdraw", ONE)).is_problem(503, "overloaded")
    assert (await under_way).status == 200
    for answer in await asyncio.gather(*waiting):
        # On a slow machine the last ones may be out of time by now; nobody gets a wrong answer.
        assert answer.status in {200, 503}
    assert (await balance_of(service), await balance_of(service, user_id)) == (9998, 9)
