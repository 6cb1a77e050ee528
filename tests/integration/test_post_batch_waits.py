"""What a batch does about accounts, ids and keys that another transaction holds at this moment."""

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import psycopg
import pytest
from ledger_calls import (
    balances_of,
    history_of,
    open_accounts,
    post_alone,
    post_batch,
    post_list,
    until_somebody_waits,
)
from psycopg.errors import UniqueViolation
from unit.ledger_model import Wanted

from server.postgres.faults import constraint_of


@pytest.fixture
def connection(database):
    with database.connect() as found:
        yield found


@pytest.fixture
def threads():
    with ThreadPoolExecutor(1) as found:
        yield found


# What others commit while a batch waits


def test_a_batch_that_waited_for_its_twin_replays_what_the_twin_committed(database, connection, threads):
    users = open_accounts(connection, [100, 100])
    batch = [Wanted(user_id, -10) for user_id in users]
    with psycopg.connect(database.direct_url) as rival:
        first = post_batch(rival, batch)
        waiting = threads.submit(post_batch, connection, batch)
        until_somebody_waits(database)
        rival.commit()
        assert waiting.result() == [one._replace(replayed=True) for one in first]
    assert balances_of(connection, users) == dict.fromkeys(users, 90)


def test_a_batch_that_waited_for_withdraw_with_its_request_id_replays_it(database, connection, threads):
    (user_id,) = open_accounts(connection, [100])
    wanted = Wanted(user_id, -10)
    with psycopg.connect(database.direct_url) as rival:
        first = post_alone(rival, wanted)
        waiting = threads.submit(post_batch, connection, [Wanted(user_id, -1), wanted])
        until_somebody_waits(database)
        rival.commit()
        found = waiting.result()
    assert found[1] == first._replace(replayed=True)
    assert history_of(connection, user_id) == [(100, 100), (-10, 90), (-1, 89)]


def test_a_batch_that_waited_for_the_same_key_replays_a_refusal_too(database, connection, threads):
    (user_id,) = open_accounts(connection, [5])
    with psycopg.connect(database.direct_url) as rival:
        first = post_batch(rival, [Wanted(user_id, -6, key="k"), Wanted(user_id, 100)])
        assert first[0].outcome == "insufficient_funds"
        waiting = threads.submit(post_batch, connection, [Wanted(user_id, -6, key="k")])
        until_somebody_waits(database)
        rival.commit()
        assert waiting.result() == [first[0]._replace(replayed=True)]
    assert balances_of(connection, [user_id]) == {user_id: 105}


def test_a_batch_that_waited_for_a_rival_that_gave_up_is_posted(database, connection, threads):
    (user_id,) = open_accounts(connection, [100])
    wanted = Wanted(user_id, -10, key="k")
    with psycopg.connect(database.direct_url) as rival:
        post_batch(rival, [wanted])
        waiting = threads.submit(post_batch, connection, [wanted])
        until_somebody_waits(database)
        rival.rollback()
        found = waiting.result()
    assert [(one.outcome, one.balance, one.replayed) for one in found] == [("posted", 90, False)]


@pytest.mark.parametrize(
    ("mark", "constraint", "then"),
    [
        ("key", "one_outcome_per_key", "key_reused"),
        ("request_id", "one_entry_per_request", "request_id_reused"),
    ],
)
def test_the_same_mark_for_two_users_at_one_moment_is_a_conflict_and_then_refused(
    database, connection, threads, mark, constraint, then
):
    first, second = open_accounts(connection, [100, 100])
    marked = {mark: "k" if mark == "key" else uuid4()}
    with psycopg.connect(database.direct_url) as rival:
        assert post_batch(rival, [Wanted(first, -10, **marked)])[0].outcome == "posted"
        waiting = threads.submit(post_batch, connection, [Wanted(second, -10, **marked)])
        until_somebody_waits(database)
        rival.commit()
        with pytest.raises(UniqueViolation) as caught:
            waiting.result()
    assert constraint_of(caught.value) == constraint
    assert post_batch(connection, [Wanted(second, -10, **marked)])[0].outcome == then
    assert balances_of(connection, [first, second]) == {first: 90, second: 100}


# Accounts that somebody holds


def test_with_skip_locked_a_held_account_is_left_out_and_nothing_of_it_is_kept(database, connection):
    held, free = open_accounts(connection, [100, 100])
    batch = [Wanted(held, -10, key="h"), Wanted(free, -10, key="f"), Wanted(10**12, -10, key="n")]
    with psycopg.connect(database.direct_url) as rival:
        post_alone(rival, Wanted(held, -1))
        found = post_batch(connection, batch, skip_locked=True)
        rival.rollback()
    assert [one.outcome for one in found] == ["locked", "posted", "user_not_found"]
    assert found[0][1:] == (None, None, False, batch[0].request_id)
    assert history_of(connection, held) == [(100, 100)]
    kept = connection.execute("select key from idempotency_keys order by key").fetchall()
    assert kept == [("f",), ("n",)]
    again = post_batch(connection, batch, skip_locked=True)
    assert [(one.outcome, one.replayed) for one in again] == [
        ("posted", False),
        ("posted", True),
        ("user_not_found", True),
    ]


def test_without_skip_locked_a_held_account_fails_the_batch_after_lock_timeout(database, connection):
    held, free = open_accounts(connection, [100, 100])
    connection.execute("set lock_timeout = '50ms'")
    with psycopg.connect(database.direct_url) as rival:
        post_alone(rival, Wanted(held, -1))
        with pytest.raises(psycopg.errors.LockNotAvailable):
            post_batch(connection, [Wanted(free, -10), Wanted(held, -10)])
    assert balances_of(connection, [free]) == {free: 100}


def test_a_list_never_waits_for_an_account_and_does_nothing_if_one_is_held(database, connection):
    held, free = open_accounts(connection, [100, 100])
    batch, fingerprint = [Wanted(free, -10), Wanted(held, -10)], uuid4()
    with psycopg.connect(database.direct_url) as rival:
        post_alone(rival, Wanted(held, -1))
        with pytest.raises(psycopg.errors.LockNotAvailable):
            post_list(connection, batch, "k", fingerprint)
        rival.rollback()
    assert balances_of(connection, [free]) == {free: 100}
    found = post_list(connection, batch, "k", fingerprint)
    assert [(one.outcome, one.balance) for one in found] == [("posted", 90), ("posted", 90)]
