"""What a batch costs: every row is found by an index, whatever the tables held when the plan was made.

Told by PostgreSQL's own counters of rows and scans, and not by times: those depend on
who else uses the machine.
"""

from typing import NamedTuple

import pytest
from ledger_calls import post_batch
from unit.ledger_model import Wanted

TABLES = ("users", "entries", "idempotency_keys")
COLD = 99_000
HOT = 1_000  # the movements of the hot account among them; 100,000 requests are the most
CALLS_UNTIL_GENERIC = 8  # the fifth call of a prepared statement is the last with a plan of its own


class Counters(NamedTuple):
    """Since the database began. scanned: rows and passes of sequential scans; fetched: rows by index."""

    scans: int
    scanned: int
    fetched: int
    updated: int


@pytest.fixture
def connection(database):
    with database.connect() as found:
        # Far more than it takes: a cost that grows with the square of the batch is an error.
        found.execute("set statement_timeout = '120s'")
        yield found


def counters(database, connection) -> dict[str, Counters]:
    connection.execute("select pg_stat_force_next_flush()")
    connection.execute("select 1")
    query = """
        select relname, coalesce(seq_scan, 0), coalesce(seq_tup_read, 0),
               coalesce(idx_tup_fetch, 0), n_tup_upd
          from pg_stat_user_tables where relname = any(%s)
    """
    with database.connect() as reader:
        return {name: Counters(*rest) for name, *rest in reader.execute(query, [list(TABLES)])}


def cost_of(database, connection, batch) -> dict[str, Counters]:
    before = counters(database, connection)
    post_batch(connection, batch)
    after = counters(database, connection)
    return {
        table: Counters(*(new - old for new, old in zip(after[table], before[table], strict=True)))
        for table in TABLES
    }


def fill(database, accounts: int) -> tuple[int, int]:
    """Accounts with their opening entries, made by the owner at once; the first and the last id."""
    with database.connect_as_owner() as owner:
        first, last = owner.execute(
            """
            with made as (
                insert into users (balance) select 1000000 from generate_series(1, %s) returning id, balance
            ), entered as (
                insert into entries (user_id, amount, balance_after, request_id)
                select id, balance, balance, gen_random_uuid() from made
            )
            select min(id), max(id) from made
            """,
            [accounts],
        ).fetchone()
    assert last - first == accounts - 1
    return first, last


def keyed(batch):
    return [Wanted(w.user_id, w.amount, w.request_id, key=f"{n}/{w.request_id}") for n, w in enumerate(batch)]


def test_a_hot_account_and_a_hundred_thousand_requests_in_one_batch_cost_one_look_and_update_each(
    database, connection
):
    hot, last = fill(database, COLD + 1)
    batch = []
    for cold in range(hot + 1, last + 1):
        batch.append(Wanted(cold, -1))
        if cold % (COLD // HOT) == 0:
            batch.append(Wanted(hot, -1))
    assert len(batch) == COLD + HOT
    cost = cost_of(database, connection, batch)
    assert [cost[table].scanned for table in TABLES] == [0, 0, 0]
    assert [cost[table].scans for table in TABLES] == [0, 0, 0]
    # Once to lock it, once to write it; the hot account too, however often it moves.
    assert cost["users"].updated == COLD + 1
    assert cost["users"].fetched <= 3 * (COLD + 1)
    # The batch is new, so not a row is read of what others did.
    assert cost["entries"].fetched == 0
    query = "select balance from users where id between %s and %s group by balance order by balance"
    assert connection.execute(query, [hot, last]).fetchall() == [(1_000_000 - HOT,), (1_000_000 - 1,)]


def test_a_replay_of_a_large_batch_reads_each_entry_once_and_writes_nothing(database, connection):
    first, last = fill(database, 5_000)
    batch = [Wanted(user_id, -1) for user_id in range(first, last + 1)]
    post_batch(connection, batch)
    cost = cost_of(database, connection, batch)
    assert [cost[table].scans for table in TABLES] == [0, 0, 0]
    assert cost["entries"].fetched <= len(batch) + 1
    assert cost["users"].updated == 0


@pytest.mark.parametrize("mark", [list, keyed])
@pytest.mark.parametrize("skip_locked", [False, True])
def test_plans_made_while_the_tables_were_empty_serve_when_they_are_full(
    database, connection, mark, skip_locked
):
    with database.connect_as_owner() as owner:
        # Without it the planner takes an empty table for one of ten pages.
        owner.execute("vacuum analyze users, entries, idempotency_keys")
    for _ in range(CALLS_UNTIL_GENERIC):
        post_batch(connection, mark([Wanted(1, -1), Wanted(10**12, -1)]), skip_locked=skip_locked)
        post_batch(connection, mark([Wanted(1, 1)]), skip_locked=skip_locked)
    first, last = fill(database, 50_000)
    batch = mark([Wanted(user_id, -1) for user_id in range(first, last + 1, 10)])
    for sent in (batch, batch):  # new, and then as a replay
        cost = cost_of(database, connection, sent)
        assert [cost[table].scans for table in TABLES] == [0, 0, 0]
        assert all(cost[table].fetched <= 3 * len(batch) for table in TABLES)


def test_a_request_for_a_nobody_reads_no_table_from_end_to_end(database, connection):
    fill(database, 10_000)
    cost = cost_of(database, connection, keyed([Wanted(10**12 + n, -1) for n in range(100)]))
    assert [cost[table].scans for table in TABLES] == [0, 0, 0]
    assert cost["users"].fetched == 0
