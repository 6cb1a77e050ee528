"""How requests become batches: what is sent together, what alone, what not at all, and what is refused."""

import asyncio
from uuid import uuid4

import psycopg
import pytest
from ledger_calls import balances_of, history_of, open_accounts
from money_path import MoneyPath, answers, frozen

from server.errors import OverloadedError
from server.money import waiting
from server.money.postings import Wish
from server.money.refusals import NotSentError, OutcomeUnknownError

NOBODY = 10**12


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


# Batches


@pytest.mark.gen_test(timeout=60)
async def test_what_arrives_while_a_batch_is_under_way_forms_the_next_one(path, connection):
    (user_id,) = open_accounts(connection, [5000])
    first = path.move(user_id, -1)
    await path.until_sent()
    rest = [path.move(user_id, -1) for _ in range(1000)]
    assert await answers([first, *rest]) == [("posted", 4999 - n) for n in range(1001)]
    assert path.sender.calls == [("post_one", 1), ("post", 1000)]
    assert (path.batcher.batches, path.batcher.movements) == (2, 1001)


@pytest.mark.gen_test(timeout=60)
async def test_one_batch_is_in_flight_whatever_arrives_when(path, connection):
    users = open_accounts(connection, [100] * 50)

    async def move_some(user_id: int) -> None:
        for _ in range(20):
            assert (await path.outcome(user_id, -1))[0] == "posted"

    await asyncio.gather(*map(move_some, users))
    assert path.sender.most_at_once == 1
    assert sum(movements for _, movements in path.sender.calls) == 1000
    assert len(path.sender.calls) < 200
    assert balances_of(connection, users) == dict.fromkeys(users, 80)


@pytest.mark.gen_test
async def test_a_lone_request_waits_for_no_timer(path):
    await path.backend()
    path.move(1, -1)
    path.sender.calls.clear()
    for _ in range(5):  # turns of the loop; none of them waits for anything
        await asyncio.sleep(0)
    assert path.sender.calls == [("post_one", 1)]


@pytest.mark.gen_test(timeout=30)
async def test_a_lone_request_is_made_by_the_single_functions_and_one_with_a_key_by_post_batch(
    path, database, server
):
    with psycopg.connect(server, autocommit=True) as superuser:
        superuser.execute(f"alter database {database.name} set track_functions = 'all'")
    assert await path.outcome(1, -1) == ("posted", 9999)
    assert await path.outcome(1, 2) == ("posted", 10_001)
    assert await path.outcome(1, -20_000) == ("insufficient_funds", 10_001)
    assert await path.outcome(NOBODY, 1) == ("user_not_found", None)
    assert path.sender.calls == [("post_one", 1)] * 4
    # PostgreSQL does not count the two that ended with an error.
    assert await calls_of_functions(path, database) == {"withdraw": 1, "deposit": 1}
    await path.outcome(1, -1, Wish(key="k"))
    assert await calls_of_functions(path, database) == {"withdraw": 1, "deposit": 1, "post_batch": 1}


async def calls_of_functions(path, database) -> dict[str, int]:
    await path.poster._connection.execute("select pg_stat_force_next_flush()")
    await path.poster._connection.execute("select 1")
    query = """
        select funcname, calls from pg_stat_user_functions
        where funcname in ('withdraw', 'deposit', 'post_batch', 'post_list')
    """
    with database.connect() as reader:
        return dict(reader.execute(query).fetchall())


@pytest.mark.gen_test
async def test_a_refusal_reads_the_same_alone_and_in_a_batch(path, connection):
    (user_id,) = open_accounts(connection, [2**53 - 1])
    used = uuid4()
    await path.outcome(1, -1, request_id=used)
    refused = [
        ((1, -10_000), {}, ("insufficient_funds", 9999)),
        ((user_id, 1), {}, ("balance_limit", 2**53 - 1)),
        ((NOBODY, -1), {}, ("user_not_found", None)),
        ((1, -2), {"request_id": used}, ("request_id_reused", None)),
    ]
    alone = [await path.outcome(*what, **how) for what, how, _ in refused]
    together = await answers([path.move(*what, **how) for what, how, _ in refused])
    assert alone == together == [expected for *_, expected in refused]


@pytest.mark.gen_test(timeout=30)
async def test_ten_thousand_repetitions_at_once_get_one_answer_and_keep_nobody_waiting(path, connection):
    (user_id,) = open_accounts(connection, [100])
    request_id, key = str(uuid4()), Wish(key="k")
    by_id = [path.move(1, -1, request_id=request_id) for _ in range(10_000)]
    by_key = [path.move(1, -10, key) for _ in range(10_000)]
    assert await path.outcome(user_id, -1) == ("posted", 99)
    for futures in (by_id, by_key):
        found = [one for (one,) in await asyncio.gather(*futures)]
        assert [one.replayed for one in found] == [False] + [True] * 9999
        assert len({one._replace(replayed=False) for one in found}) == 1
    assert path.sender.calls == [("post", 3)]
    assert [amount for amount, _ in history_of(connection, 1)] == [10_000, -1, -10]


@pytest.mark.gen_test(timeout=30)
async def test_the_same_id_or_key_with_another_content_is_refused_in_a_batch_of_its_own(path, connection):
    request_id, key = uuid4(), Wish(key="k")
    found = await answers(
        [
            path.move(1, -1, request_id=request_id),
            path.move(1, -10, key),
            path.move(1, -2, request_id=request_id),
            path.move(1, -20, key),
            path.move(1, -10, key),
        ]
    )
    assert found == [
        ("posted", 9999),
        ("posted", 9989),
        ("request_id_reused", None),
        ("key_reused", None),
        ("posted", 9989),
    ]
    assert path.sender.calls == [("post", 2), ("post", 2)]


@pytest.mark.gen_test
async def test_every_character_of_a_key_reaches_the_database(path, connection):
    keys = ['"', "\\", "{", "}", ",", "NULL", "null", "'", "\\\"{},'", *map(chr, range(0x21, 0x7F))]
    wishes = [Wish(key=f"{n}{key}", client=key) for n, key in enumerate(keys)] + [Wish(key="NULL")]
    assert {outcome for outcome, _ in await answers([path.move(1, -1, wish) for wish in wishes])} == {
        "posted"
    }
    kept = connection.execute("select client, key from idempotency_keys").fetchall()
    assert sorted(kept) == sorted((wish.client, wish.key) for wish in wishes)


@pytest.mark.gen_test
async def test_a_list_is_decided_as_one(path, connection):
    users = open_accounts(connection, [5, 0])
    found = await path.move_all([*users, NOBODY], -1, Wish(key="k"))
    assert [one.outcome for one in found] == ["posted", "insufficient_funds", "user_not_found"]
    assert path.sender.calls == [("post_list", 3)]


# What is not sent


@pytest.mark.gen_test
async def test_a_request_whose_client_has_gone_before_it_was_sent_is_not_executed(path, connection):
    is_here = [True]
    first = path.move(1, -1)
    await path.until_sent()
    gone = path.move(1, -10, Wish(is_wanted=lambda: is_here[0]))
    stays = path.move(1, -100)
    is_here[0] = False
    assert await answers([first, gone, stays]) == [("posted", 9999), NotSentError, ("posted", 9899)]
    assert [amount for amount, _ in history_of(connection, 1)] == [10_000, -1, -100]


@pytest.mark.gen_test
async def test_who_goes_or_runs_out_of_time_while_a_connection_is_made_is_not_executed(path, connection):
    path.sender.may_connect.clear()
    is_here = [True]
    gone = path.move(1, -1, Wish(is_wanted=lambda: is_here[0]))
    late = path.move(1, -10, seconds=0.2)
    stays = path.move(1, -100)
    await path.sender.was_asked_to_connect.wait()
    assert await answers([late]) == [NotSentError]
    is_here[0] = False
    path.sender.may_connect.set()
    assert await answers([gone, stays]) == [NotSentError, ("posted", 9900)]
    assert [amount for amount, _ in history_of(connection, 1)] == [10_000, -100]


# Limits


@pytest.mark.gen_test(timeout=60)
async def test_when_too_many_movements_wait_the_next_is_refused_and_the_others_are_answered(
    path, connection, monkeypatch
):
    monkeypatch.setattr(waiting, "QUEUE_MOVEMENTS_MAX", 40_000)
    users = open_accounts(connection, [100] * 1000)
    backend = await path.backend()
    with frozen(backend):
        sent = path.move(1, -1)
        await path.until_sent()
        queued = [path.move_all(users * 10, -1) for _ in range(waiting.QUEUE_MOVEMENTS_MAX // 10_000)]
        with pytest.raises(OverloadedError):
            path.move(1, -1)
    assert await answers([sent, *queued]) == [("posted", 9999)] + [("posted", 99 - 10 * n) for n in range(4)]
    assert await path.outcome(1, -1) == ("posted", 9998)
    assert balances_of(connection, users) == dict.fromkeys(users, 60)


@pytest.mark.gen_test(timeout=30)
async def test_when_the_oldest_has_waited_too_long_the_next_is_refused(path, monkeypatch):
    monkeypatch.setattr(waiting, "QUEUE_SECONDS_MAX", 0.3)
    backend = await path.backend()
    with frozen(backend):
        sent = path.move(1, -1)
        await path.until_sent()
        queued = path.move(1, -10)
        while path.batcher.waiting.oldest_seconds <= 0.3:
            await asyncio.sleep(0.01)
        with pytest.raises(OverloadedError):
            path.move(1, -100)
    assert await answers([sent, queued]) == [("posted", 9999), ("posted", 9989)]
    assert await path.outcome(1, -100) == ("posted", 9889)


# The end


@pytest.mark.gen_test(timeout=30)
async def test_drained_returns_when_everything_that_was_queued_has_its_answer(path):
    await path.batcher.drained()
    first = path.move(1, -1)
    await path.until_sent()
    rest = [path.move(1, -1) for _ in range(100)] + [path.move_all([1], -1)]
    await path.batcher.drained()
    assert all(one.done() for one in [first, *rest])
    assert await path.outcome(1, -1) == ("posted", 10_000 - 103)


@pytest.mark.gen_test(timeout=30)
async def test_when_it_is_cancelled_the_rest_is_told_what_is_known_of_it(path):
    backend = await path.backend()
    with frozen(backend):
        sent = path.move(1, -1)
        await path.until_sent()
        queued = [path.move(1, -10), path.move_all([1], -10)]
        path.running.cancel()
        assert await answers([sent, *queued]) == [OutcomeUnknownError, NotSentError, NotSentError]
