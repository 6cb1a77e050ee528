"""What requests are told when the connection breaks, the database is away, or something is wrong in it."""

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest
from ledger_calls import balances_of, history_of, open_accounts
from money_path import MoneyPath, answers, frozen
from structlog.testing import capture_logs

from server.errors import DatabaseUnavailableError, UnexpectedError
from server.money.postings import Wish
from server.money.refusals import IdempotencyConflictError, NotSentError, OutcomeUnknownError

POST_BATCH = "function post_batch(bigint[], bigint[], uuid[], text[], text[], boolean)"


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


@pytest.fixture
def owner(database):
    with database.connect_as_owner() as found:
        yield found


def errors_in(logs) -> list[dict]:
    return [line for line in logs if line["log_level"] == "error"]


@asynccontextmanager
async def answer_lost(path, move):
    """Yields the future of a movement that is committed; its second sending waits for the block's end."""
    await path.backend()
    path.sender.answers_to_lose = 1
    path.sender.may_connect.clear()
    path.sender.was_asked_to_connect.clear()
    moved = move()
    await path.sender.was_asked_to_connect.wait()
    yield moved
    path.sender.may_connect.set()


# Lost connections


@pytest.mark.gen_test(timeout=60)
async def test_connections_killed_in_flight_cost_no_answer_and_nothing_counts_twice(path, connection):
    users = open_accounts(connection, [1000] * 20)
    outcomes: Counter[str] = Counter()

    async def move_some(user_id: int) -> None:
        for n in range(30):
            outcomes[(await path.outcome(user_id, -1, Wish(key=f"{user_id}/{n}" if n % 2 else None)))[0]] += 1

    moving = asyncio.gather(*map(move_some, users))
    kills = 0
    while not moving.done() and kills < 10:
        await path.until_sent()
        if path.poster.is_connected:
            pid = path.poster._connection.info.backend_pid
            kills += connection.execute("select pg_terminate_backend(%s)", [pid]).fetchone() == (True,)
    await moving
    assert kills == 10
    assert outcomes == {"posted": 600}
    assert balances_of(connection, users) == dict.fromkeys(users, 970)
    assert [len(history_of(connection, user_id)) for user_id in users] == [31] * 20


@pytest.mark.gen_test
async def test_an_answer_lost_after_the_commit_is_found_again_alone_with_a_key_and_in_a_list(
    path, connection
):
    for move, balance in (
        (lambda: path.move(1, -1), 9999),
        (lambda: path.move(1, -1, Wish(key="k")), 9998),
        (lambda: path.move_all([1], -1, Wish(key="list")), 9997),
        (lambda: path.move_all([1], -1), 9996),
    ):
        path.sender.answers_to_lose = 2
        assert await answers([move()]) == [("posted", balance)]
        assert balances_of(connection, [1]) == {1: balance}


@pytest.mark.gen_test
async def test_what_may_have_been_done_is_found_again_though_its_client_has_gone(path):
    is_here = [True]
    async with answer_lost(path, lambda: path.move(1, -1, Wish(is_wanted=lambda: is_here[0]))) as moved:
        is_here[0] = False
    assert await answers([moved]) == [("posted", 9999)]


# Deadlines


@pytest.mark.gen_test(timeout=30)
async def test_at_the_deadline_each_is_told_what_is_known_of_it(path, connection):
    backend = await path.backend()
    with frozen(backend):
        sent = path.move(1, -1, Wish(key="k"), seconds=0.5)
        patient = path.move(1, -10)  # in the same batch, which is not given up therefore
        await path.until_sent()
        behind = path.move(1, -1, Wish(key="k"), seconds=0.5)
        queued = path.move(1, -100, seconds=0.5)
        with_key = path.move(1, -100, Wish(key="another"), seconds=0.5)
        assert await answers([sent, behind, queued, with_key]) == [
            OutcomeUnknownError,
            IdempotencyConflictError,
            NotSentError,
            NotSentError,
        ]
    assert await answers([patient]) == [("posted", 9989)]
    assert [amount for amount, _ in history_of(connection, 1)] == [10_000, -1, -10]


@pytest.mark.gen_test(timeout=30)
async def test_a_frozen_connection_is_given_up_at_the_deadline_and_the_next_goes_on(path, connection):
    (other,) = open_accounts(connection, [100])
    backend = await path.backend()
    with frozen(backend):
        sent = path.move(1, -1, seconds=0.5)
        await path.until_sent()
        queued = path.move(other, -1)
        assert await answers([sent, queued]) == [OutcomeUnknownError, ("posted", 99)]


@pytest.mark.gen_test(timeout=30)
async def test_without_a_database_nothing_happened_and_that_is_said(io_loop):
    path = MoneyPath("postgresql:///x?host=/nowhere&user=told_of_once")
    await path.start()
    with capture_logs() as logs:
        found = await answers(
            [
                path.move(1, -1, seconds=0.5),
                path.move(1, -1, Wish(key="k"), seconds=0.5),
                path.move_all([1], -1),
            ][:2]
        )
    assert found == [DatabaseUnavailableError] * 2
    told = [line["event"] for line in logs if line["log_level"] != "debug"]
    assert told == ["the database does not answer; trying until it does"]
    await path.stop()


@pytest.mark.gen_test(timeout=30)
async def test_in_an_outage_after_it_was_sent_the_outcome_is_unknown(path, connection):
    async with answer_lost(path, lambda: path.move(1, -1, seconds=1)) as moved:
        assert await answers([moved]) == [OutcomeUnknownError]
    assert balances_of(connection, [1]) == {1: 9999}


# Unexpected errors


@pytest.mark.gen_test(timeout=30)
async def test_an_unexpected_error_fails_the_batch_that_met_it_with_one_line_and_the_next_one_works(
    path, owner
):
    first = path.move(1, -1)
    await path.until_sent()
    owner.execute(f"revoke execute on {POST_BATCH} from ringfence")
    with capture_logs() as logs:
        found = await asyncio.gather(first, *(path.move(1, -1) for _ in range(500)), return_exceptions=True)
    owner.execute(f"grant execute on {POST_BATCH} to ringfence")
    assert found[0][0].outcome == "posted"
    assert {type(one) for one in found[1:]} == {UnexpectedError}
    (line,) = errors_in(logs)
    assert {one.instance for one in found[1:]} == {line["instance"]}
    assert line["movements"] == 500
    again = await answers([path.move(1, -1) for _ in range(500)])
    assert again == [("posted", 9998 - n) for n in range(500)]


@pytest.mark.gen_test(timeout=30)
async def test_after_an_unexpected_error_what_may_have_been_done_before_is_unknown(path, owner, connection):
    with capture_logs() as logs:
        async with answer_lost(path, lambda: path.move(1, -1, Wish(key="k"))) as moved:
            owner.execute(f"revoke execute on {POST_BATCH} from ringfence")
        assert await answers([moved]) == [OutcomeUnknownError]
    assert len(errors_in(logs)) == 1
    assert balances_of(connection, [1]) == {1: 9999}


@pytest.mark.gen_test(timeout=30)
async def test_an_error_about_one_request_among_many_meets_that_one_alone(path, owner, connection):
    users = open_accounts(connection, [100] * 100)
    culprits = users[17], users[71]
    owner.execute(
        f"alter table entries add constraint none_of_these check (user_id not in {culprits}) not valid"
    )
    first = path.move(1, -1)
    await path.until_sent()
    with capture_logs() as logs:
        found = await answers([path.move(user_id, -1) for user_id in users])
    assert await first
    expected = {user_id: UnexpectedError if user_id in culprits else ("posted", 99) for user_id in users}
    assert dict(zip(users, found, strict=True)) == expected
    assert len(errors_in(logs)) == 1
    assert balances_of(connection, culprits) == dict.fromkeys(culprits, 100)


@pytest.mark.gen_test(timeout=60)
async def test_an_error_about_every_request_is_named_once_and_not_for_each(path, owner, connection):
    users = open_accounts(connection, [100] * 64)
    owner.execute("alter table entries add constraint nothing check (amount > 0) not valid")
    with capture_logs() as logs:
        found = await asyncio.gather(*(path.move(user_id, -1) for user_id in users), return_exceptions=True)
    assert {type(one) for one in found} == {UnexpectedError}
    (line,) = errors_in(logs)
    assert {one.instance for one in found} == {line["instance"]}


@pytest.mark.gen_test(timeout=30)
async def test_the_same_error_in_another_batch_is_named_again(path, owner):
    owner.execute("alter table entries add constraint nothing check (amount > 0) not valid")
    with capture_logs() as logs:
        for _ in range(2):
            assert await answers([path.move(1, -1, request_id=uuid4())]) == [UnexpectedError]
    assert len({line["instance"] for line in errors_in(logs)}) == 2


@pytest.mark.gen_test(timeout=30)
async def test_a_defect_of_ours_costs_its_batch_and_not_the_money_path(path):
    with capture_logs() as logs:
        # A lone surrogate can't be sent; validation lets none through.
        assert await answers([path.move(1, -1, Wish(key="\ud800"))]) == [UnexpectedError]
    assert len(errors_in(logs)) == 1
    assert await path.outcome(1, -1) == ("posted", 9999)


# A migration while the node serves


@pytest.mark.gen_test
async def test_a_migration_that_changes_a_function_costs_a_new_session_and_no_answer(path, connection, owner):
    (user_id,) = open_accounts(connection, [10])
    before = await path.backend()
    for n in range(6):  # until the statement is surely prepared
        assert await path.outcome(user_id, -1) == ("posted", 9 - n)
    with owner.transaction():
        owner.execute("alter function withdraw(bigint, bigint, uuid) rename to withdraw_before")
        owner.execute(
            """
            create function withdraw(user_id bigint, amount bigint, request_id uuid)
            returns table (balance integer, entry_id integer)
            language sql security definer set search_path = public
            as $$ select m.balance::integer, m.entry_id::integer from move_money(user_id, -amount, request_id) as m $$
            """
        )
        owner.execute("grant execute on function withdraw(bigint, bigint, uuid) to ringfence")
    with capture_logs() as logs:
        # "cached plan must not change result type" is what the old session says.
        assert await path.outcome(user_id, -1) == ("posted", 3)
    assert errors_in(logs) == [], errors_in(logs)
    assert await path.backend() != before
