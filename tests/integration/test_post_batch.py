"""Every outcome and every error of post_batch(), and what a repeated request id or key gets."""

from uuid import uuid4

import psycopg
import pytest
from ledger_calls import balances_of, history_of, open_accounts, post_alone, post_batch, post_list
from unit.ledger_model import MOST, Outcome, Wanted

NOBODY = 10**12


@pytest.fixture
def connection(database):
    with database.connect() as found:
        yield found


def outcomes(found) -> list[tuple[str, int | None, bool]]:
    return [(one.outcome, one.balance, one.replayed) for one in found]


def entries(connection) -> int:
    return connection.execute("select count(*) from entries").fetchone()[0]


# Outcomes


def test_each_request_gets_its_own_outcome_in_the_order_of_the_requests(connection):
    poor, rich = open_accounts(connection, [100, MOST - 5])
    used = Wanted(poor, -1)
    post_batch(connection, [used])
    found = post_batch(
        connection,
        [
            Wanted(rich, 6),
            Wanted(poor, -60),
            Wanted(NOBODY, -1),
            Wanted(poor, -40),
            Wanted(poor, 3),
            Wanted(rich, 5),
            Wanted(poor, -2, used.request_id),
            Wanted(poor, -42),
        ],
    )
    assert outcomes(found) == [
        ("balance_limit", MOST - 5, False),
        ("posted", 39, False),
        ("user_not_found", None, False),
        ("insufficient_funds", 39, False),
        ("posted", 42, False),
        ("posted", MOST, False),
        ("request_id_reused", None, False),
        ("posted", 0, False),
    ]
    ids = [one.entry for one in found if one.outcome == "posted"]
    assert ids == sorted(ids)
    assert all(one.entry is None for one in found if one.outcome != "posted")
    assert history_of(connection, poor) == [(100, 100), (-1, 99), (-60, 39), (3, 42), (-42, 0)]


def test_of_n_withdrawals_in_one_batch_exactly_as_many_succeed_as_the_balance_holds(connection):
    (user_id,) = open_accounts(connection, [100])
    found = post_batch(connection, [Wanted(user_id, -3) for _ in range(50)])
    assert [one.outcome for one in found] == ["posted"] * 33 + ["insufficient_funds"] * 17
    assert {one.balance for one in found[33:]} == {1}


def test_a_refusal_leaves_the_balance_for_the_next(connection):
    (user_id,) = open_accounts(connection, [10])
    found = post_batch(connection, [Wanted(user_id, -11), Wanted(user_id, -10)])
    assert outcomes(found) == [("insufficient_funds", 10, False), ("posted", 0, False)]


def test_an_empty_batch_is_no_error(connection):
    assert post_batch(connection, []) == []


def test_the_largest_amounts_overflow_nothing(connection):
    (user_id,) = open_accounts(connection, [MOST])
    found = post_batch(connection, [Wanted(user_id, -(2**63)), Wanted(user_id, MOST), Wanted(user_id, -MOST)])
    assert outcomes(found) == [
        ("insufficient_funds", MOST, False),
        ("balance_limit", MOST, False),
        ("posted", 0, False),
    ]


def test_ids_and_times_of_entries_grow_along_an_account_over_batches_and_single_calls(connection):
    (user_id,) = open_accounts(connection, [1000])
    for _ in range(5):
        post_batch(connection, [Wanted(user_id, -1) for _ in range(4)])
        post_alone(connection, Wanted(user_id, -1))
    query = "select balance_after, created_at from entries where user_id = %s order by id"
    rows = connection.execute(query, [user_id]).fetchall()
    assert [after for after, _ in rows] == list(range(1000, 974, -1))
    assert [at for _, at in rows] == sorted(at for _, at in rows)


# Repeats


def test_a_batch_sent_again_gets_its_first_outcomes_and_moves_nothing(connection):
    users = open_accounts(connection, [100, 100])
    batch = [Wanted(user_id, -amount) for amount in range(1, 9) for user_id in users]
    first = post_batch(connection, batch)
    before = entries(connection)
    again = post_batch(connection, list(reversed(batch)))
    assert again == [one._replace(replayed=True) for one in reversed(first)]
    assert entries(connection) == before
    assert balances_of(connection, users) == dict.fromkeys(users, 64)


def test_part_of_a_batch_sent_again_moves_only_what_is_new(connection):
    (user_id,) = open_accounts(connection, [100])
    first, second = Wanted(user_id, -10), Wanted(user_id, -20)
    post_batch(connection, [first])
    assert outcomes(post_batch(connection, [second, first])) == [("posted", 70, False), ("posted", 90, True)]


def test_single_functions_and_batches_know_each_others_request_ids(connection):
    (user_id,) = open_accounts(connection, [100])
    one, other = Wanted(user_id, -10), Wanted(user_id, 5)
    alone, batched = post_alone(connection, one), post_batch(connection, [other])[0]
    assert post_batch(connection, [one, other]) == [
        alone._replace(replayed=True),
        batched._replace(replayed=True),
    ]
    assert post_alone(connection, other) == batched


@pytest.mark.parametrize("change", [{"user_id": 1}, {"amount": -11}, {"amount": 10}])
def test_a_request_id_used_for_something_else_is_refused(connection, change):
    (user_id,) = open_accounts(connection, [100])
    first = Wanted(user_id, -10)
    post_batch(connection, [first])
    other = Wanted(**{"user_id": user_id, "amount": -10, "request_id": first.request_id} | change)
    assert post_batch(connection, [other]) == [
        Outcome("request_id_reused", None, None, False, first.request_id)
    ]


def test_the_request_id_of_an_opening_entry_is_not_free(connection):
    request_id = uuid4()
    user_id = connection.execute("select open_account(100, %s)", [request_id]).fetchone()[0]
    assert post_batch(connection, [Wanted(user_id, -1, request_id)])[0].outcome == "request_id_reused"


# Keys


def test_a_key_seen_again_gets_its_first_outcome_whatever_has_changed_since(connection):
    poor, full = open_accounts(connection, [5, MOST])
    used = Wanted(poor, -1)
    post_batch(connection, [used])
    batch = [
        Wanted(poor, -4, key="posted"),
        Wanted(poor, -1, key="insufficient"),
        Wanted(full, 1, key="limit"),
        Wanted(NOBODY, -1, key="nobody"),
        Wanted(poor, -3, used.request_id, key="reused"),
    ]
    first = post_batch(connection, batch)
    assert [one.outcome for one in first] == [
        "posted",
        "insufficient_funds",
        "balance_limit",
        "user_not_found",
        "request_id_reused",
    ]
    post_batch(connection, [Wanted(poor, 1000), Wanted(full, -1000)])
    # The request ids are new: the key alone tells that the requests are the same.
    again = post_batch(connection, [Wanted(one.user_id, one.amount, key=one.key) for one in batch])
    assert again == [one._replace(replayed=True) for one in first]
    assert balances_of(connection, [poor, full]) == {poor: 1000, full: MOST - 1000}


@pytest.mark.parametrize("change", [{"user_id": 1}, {"amount": -11}, {"amount": 10}])
def test_a_key_used_for_something_else_is_refused_and_keeps_its_first_outcome(connection, change):
    (user_id,) = open_accounts(connection, [100])
    first = post_batch(connection, [Wanted(user_id, -10, key="k")])[0]
    other = Wanted(**{"user_id": user_id, "amount": -10, "key": "k"} | change)
    assert outcomes(post_batch(connection, [other])) == [("key_reused", None, False)]
    assert post_batch(connection, [Wanted(user_id, -10, key="k")]) == [first._replace(replayed=True)]
    assert balances_of(connection, [1, user_id]) == {1: 10_000, user_id: 90}


def test_two_clients_may_choose_the_same_key(connection):
    (user_id,) = open_accounts(connection, [100])
    found = post_batch(
        connection, [Wanted(user_id, -1, key="k", client="a"), Wanted(user_id, -2, key="k", client="b")]
    )
    assert outcomes(found) == [("posted", 99, False), ("posted", 97, False)]


def test_a_new_key_on_a_request_id_seen_before_keeps_the_movement_that_was_made(connection):
    (user_id,) = open_accounts(connection, [100])
    first = post_batch(connection, [Wanted(user_id, -10)])[0]
    keyed = Wanted(user_id, -10, first.request_id, key="k")
    assert post_batch(connection, [keyed]) == [first._replace(replayed=True)]
    assert post_batch(connection, [Wanted(user_id, -10, key="k")]) == [first._replace(replayed=True)]


def test_a_replayed_key_and_its_request_id_may_stand_in_one_batch(connection):
    (user_id,) = open_accounts(connection, [100])
    first = post_batch(connection, [Wanted(user_id, -10, key="k")])[0]
    found = post_batch(connection, [Wanted(user_id, -10, key="k"), Wanted(user_id, -10, first.request_id)])
    assert found == [first._replace(replayed=True)] * 2


def test_with_keys_and_without_may_stand_in_one_batch(connection):
    (user_id,) = open_accounts(connection, [100])
    post_batch(connection, [Wanted(user_id, -10, key="k"), Wanted(user_id, -20)])
    assert connection.execute("select key, balance from idempotency_keys").fetchall() == [("k", 90)]


# Lists


def test_a_list_and_a_movement_dont_share_a_key(connection):
    (user_id,) = open_accounts(connection, [100])
    post_list(connection, [Wanted(user_id, -1)], "list", uuid4())
    post_batch(connection, [Wanted(user_id, -1, key="single")])
    assert outcomes(post_batch(connection, [Wanted(user_id, -1, key="list")])) == [
        ("key_reused", None, False)
    ]
    assert outcomes(post_list(connection, [Wanted(user_id, -1)], "single", uuid4())) == [
        ("key_reused", None, False)
    ]
    assert balances_of(connection, [user_id]) == {user_id: 98}


def test_a_list_with_a_key_needs_its_fingerprint(connection):
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        post_list(connection, [Wanted(1, -1)], "k", None)
    assert balances_of(connection, [1]) == {1: 10_000}
