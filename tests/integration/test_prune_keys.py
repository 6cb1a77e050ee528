"""Keys are forgotten when they are old enough, a limited number at a time, and nobody waits for it."""

from uuid import uuid4

import psycopg
import pytest
from ledger_calls import balances_of, open_accounts, post_batch, post_list
from unit.ledger_model import Wanted

DAY = "24 hours"


@pytest.fixture
def connection(database):
    with database.connect() as found:
        yield found


def keep(database, connection, *hours_ago: float) -> None:
    """One key of each age, named by it."""
    post_batch(connection, [Wanted(1, -1, key=str(hours)) for hours in hours_ago])
    with database.connect_as_owner() as owner:
        owner.execute(
            "update idempotency_keys set created_at = created_at - key::numeric * interval '1 hour'"
        )


def prune(connection, age: str | None = DAY, rows_max: int | None = 1000) -> int:
    return connection.execute("select prune_idempotency_keys(%s::interval, %s)", [age, rows_max]).fetchone()[
        0
    ]


def keys(connection) -> list[str]:
    return [key for (key,) in connection.execute("select key from idempotency_keys order by key::numeric")]


def test_keys_older_than_asked_are_deleted_and_younger_ones_stay(database, connection):
    keep(database, connection, 0, 23.9, 24.1, 100)
    assert prune(connection) == 2
    assert keys(connection) == ["0", "23.9"]
    assert prune(connection) == 0


def test_one_call_deletes_at_most_so_many_and_the_oldest_first(database, connection):
    keep(database, connection, 30, 50, 40, 60)
    assert prune(connection, rows_max=2) == 2
    assert keys(connection) == ["30", "40"]
    assert prune(connection, rows_max=10) == 2


def test_keys_of_lists_are_forgotten_like_others(database, connection):
    post_list(connection, [Wanted(1, -1)], "1", uuid4())
    assert prune(connection, age="0") == 1
    assert keys(connection) == []


def test_a_key_counts_until_it_is_pruned_and_is_free_afterwards(database, connection):
    (user_id,) = open_accounts(connection, [100])
    keep(database, connection, 30)
    assert post_batch(connection, [Wanted(user_id, -10, key="30")])[0].outcome == "key_reused"
    prune(connection)
    assert post_batch(connection, [Wanted(user_id, -10, key="30")])[0].outcome == "posted"
    assert balances_of(connection, [user_id]) == {user_id: 90}


def test_the_movement_of_a_pruned_key_is_still_known_by_its_request_id(database, connection):
    wanted = Wanted(1, -10, key="k")
    first = post_batch(connection, [wanted])[0]
    prune(connection, age="0")
    assert post_batch(connection, [wanted]) == [first._replace(replayed=True)]


def test_two_pruners_at_once_share_the_work_and_dont_wait(database, connection):
    keep(database, connection, 30, 40, 50, 60)
    connection.execute("set lock_timeout = '1s'")
    with psycopg.connect(database.direct_url) as other:
        assert prune(other, rows_max=2) == 2
        assert prune(connection, rows_max=4) == 2
        other.rollback()
    assert keys(connection) == ["50", "60"]


@pytest.mark.parametrize(("age", "rows_max"), [(None, 1), ("-1 second", 1), (DAY, None), (DAY, 0), (DAY, -1)])
def test_a_call_without_a_limit_or_an_age_is_refused(database, connection, age, rows_max):
    keep(database, connection, 1000)
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        prune(connection, age, rows_max)
    assert keys(connection) == ["1000"]


@pytest.mark.parametrize(
    "statement",
    [
        "insert into idempotency_keys (client, key) values ('', 'k')",
        "update idempotency_keys set outcome = 'posted'",
        "delete from idempotency_keys",
        "select lock_accounts('{1}', false)",
        "select check_batch('{}', '{}', '{}', null, null)",
    ],
)
def test_the_application_keeps_and_forgets_keys_through_the_functions_alone(connection, statement):
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement)


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ("operation = 'deposit'", "idempotency_operation_is_the_sign"),
        ("outcome = 'locked', entry_id = null", "idempotency_outcome_known"),
        ("entry_id = null", "idempotency_entry_if_posted"),
        ("outcome = 'user_not_found'", "idempotency_entry_if_posted"),
        ("outcomes = '{posted}'", "idempotency_one_movement_or_a_list"),
        ("key = ''", "idempotency_key_short"),
        ("client = repeat('c', 256)", "idempotency_client_short"),
    ],
)
def test_the_table_itself_refuses_an_outcome_that_makes_no_sense(database, connection, change, constraint):
    keep(database, connection, 1)
    with database.connect_as_owner() as owner, pytest.raises(psycopg.errors.CheckViolation) as caught:
        owner.execute(f"update idempotency_keys set {change}")
    assert caught.value.diag.constraint_name == constraint
