"""An account that somebody holds stops the requests on it, and nobody else's."""

import asyncio
from collections import Counter
from time import monotonic
from uuid import uuid4

import pytest
from http_service import until_somebody_waits_for_a_lock
from ledger_calls import balances_of, history_of, open_accounts
from money_path import MoneyPath, answers, held

from server.money.postings import Wish
from server.money.refusals import AccountBusyError

HOLD_SECONDS = 10.0


@pytest.fixture
def path(io_loop, database):
    running = MoneyPath(database.application_url)
    io_loop.run_sync(running.start)
    yield running
    io_loop.run_sync(running.stop)


@pytest.fixture
def connection(database):
    with database.connect() as found:
        yield found


@pytest.mark.gen_test(timeout=60)
async def test_while_one_row_is_held_for_ten_seconds_a_hundred_other_accounts_go_on(
    path, database, connection
):
    users = open_accounts(connection, [1_000_000] * 100)
    rounds, longest_seconds = 0, 0.0
    with held(database, 1) as rival:
        until = monotonic() + HOLD_SECONDS
        stuck = [path.move(1, -1), path.move(1, -1, Wish(key="k"))]
        while monotonic() < until:
            began = monotonic()
            found = await answers([path.move(user_id, -1) for user_id in users])
            longest_seconds = max(longest_seconds, monotonic() - began)
            rounds += 1
            assert found == [("posted", 1_000_000 - rounds)] * 100
        assert not any(one.done() for one in stuck)
        rival.rollback()
    assert sorted(await answers(stuck)) == [("posted", 9998), ("posted", 9999)]
    # The first round meets the row and waits for it once; thousands of movements follow.
    assert rounds > 50
    assert longest_seconds < HOLD_SECONDS / 3


@pytest.mark.gen_test(timeout=30)
async def test_who_waits_for_a_held_account_until_its_deadline_is_told_so_and_nothing_happened(
    path, database, connection
):
    (other,) = open_accounts(connection, [100])
    with held(database, 1):
        stuck = [path.move(1, -1, seconds=2), path.move(1, -1, Wish(key="k"), seconds=2)]
        assert await path.outcome(other, -1) == ("posted", 99)
        assert await answers(stuck) == [AccountBusyError, AccountBusyError]
    assert history_of(connection, 1) == [(10_000, 10_000)]
    assert await path.outcome(1, -1, Wish(key="k")) == ("posted", 9999)


@pytest.mark.gen_test(timeout=30)
async def test_a_list_with_a_held_account_waits_as_a_whole_and_others_go_on(path, database, connection):
    users = open_accounts(connection, [100] * 3)
    with held(database, users[1]) as rival:
        stuck = path.move_all(users, -1, Wish(key="k"))
        for n in range(20):
            assert await path.outcome(users[0], -1) == ("posted", 99 - n)
        assert not stuck.done()
        rival.rollback()
    assert [one.balance for one in await stuck] == [79, 99, 99]


@pytest.mark.gen_test(timeout=30)
async def test_drained_waits_for_those_on_a_held_account_as_well(path, database):
    with held(database, 1) as rival:
        stuck = path.move(1, -1)
        await until_somebody_waits_for_a_lock(database)
        drained = asyncio.ensure_future(path.batcher.drained())
        assert await path.outcome(10**12, -1) == ("user_not_found", None)
        assert not drained.done()
        rival.rollback()
    await drained
    assert stuck.done()


@pytest.mark.parametrize("mark", ["request_id", "key"])
@pytest.mark.gen_test(timeout=60)
async def test_an_id_or_a_key_that_is_held_on_another_account_stops_nobody_else(
    path, database, connection, mark
):
    culprit, other, *users = open_accounts(connection, [100] * 302)
    request_id = uuid4()
    with held(database) as rival:
        rival.execute(
            "select * from post_batch(array[%s]::bigint[], '{-1}', array[%s]::uuid[], null, array[%s])",
            [other, request_id, "k"],
        )
        same = {"request_id": request_id} if mark == "request_id" else {"wish": Wish(key="k")}
        first = path.move(users[0], -1)
        await path.until_sent()
        stuck = path.move(culprit, -1, **same)
        rest = [path.move(user_id, -1, seconds=10) for user_id in users]
        assert Counter(await answers(rest)) == {("posted", 99): 299, ("posted", 98): 1}
        assert not stuck.done()
        assert await first
        rival.commit()
    expected = "request_id_reused" if mark == "request_id" else "key_reused"
    assert await answers([stuck]) == [(expected, None)]
    assert balances_of(connection, [culprit]) == {culprit: 100}


@pytest.mark.gen_test(timeout=60)
async def test_after_a_hold_the_nodes_that_met_it_share_the_account_and_nobody_starves(database, connection):
    nodes = [MoneyPath(database.application_url, deadline_seconds=20.0) for _ in range(3)]
    for node in nodes:
        await node.start()
    try:
        with held(database, 1) as rival:
            stuck = [node.move(1, -1) for node in nodes for _ in range(10)]
            await until_somebody_waits_for_a_lock(database, others=3)
            for node in nodes:
                # Sent after the wait for the lock was given up.
                await node.outcome(10**12, -1)
            rival.rollback()

        async def move_some(node: MoneyPath) -> int:
            return sum([(await node.outcome(1, -1))[0] == "posted" for _ in range(50)])

        moved = await asyncio.gather(*(move_some(node) for node in nodes for _ in range(10)))
        assert {outcome for outcome, _ in await answers(stuck)} == {"posted"}
    finally:
        for node in nodes:
            await node.stop()
    assert sum(moved) == 1500
    assert balances_of(connection, [1]) == {1: 10_000 - 1530}
