"""Batches of many connections at once: no deadlock, exact sums, one effect for each id and key."""

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from uuid import uuid4

import psycopg
import pytest
from ledger_calls import balances_of, open_accounts, post_alone, post_batch, post_list
from psycopg.errors import UniqueViolation
from unit.ledger_model import Wanted

from server.postgres.faults import constraint_of

THREADS = 6
ROUNDS = 40


@pytest.fixture
def connection(database):
    with database.connect() as found:
        yield found


@pytest.fixture
def threads():
    with ThreadPoolExecutor(THREADS) as found:
        yield found


def in_rounds(database, threads, make_batch, *, conflict: str | None = None):
    """Each thread posts its own batch in each round, all at one moment.

    Returns how many had which outcome, and 'conflict' for a batch with that error.
    """
    start = Barrier(THREADS, timeout=20)

    def post_some(thread: int) -> Counter[str]:
        counts: Counter[str] = Counter()
        with database.connect() as own:
            own.execute("set synchronous_commit = off")
            for number in range(ROUNDS):
                start.wait()
                try:
                    found = post_batch(own, make_batch(thread, number))
                except UniqueViolation as error:
                    assert constraint_of(error) == conflict
                    counts["conflict"] += 1
                else:
                    counts.update(one.outcome for one in found)
        return counts

    return sum(threads.map(post_some, range(THREADS)), Counter())


def shuffled(batch, thread: int, number: int):
    """Forwards, backwards, or in a random order that is the same in every run of the test."""
    if thread % 3 == 2:
        return random.Random(1000 * thread + number).sample(batch, len(batch))
    return batch[:: -1 if thread % 3 else 1]


# Order of locks


def test_batches_that_touch_the_same_accounts_in_different_orders_dont_deadlock_and_sums_are_exact(
    database, connection, threads
):
    users = open_accounts(connection, [1_000_000] * 200)
    counts = in_rounds(
        database, threads, lambda t, n: shuffled([Wanted(user_id, -(t + 1)) for user_id in users], t, n)
    )
    assert counts == {"posted": THREADS * ROUNDS * len(users)}
    taken = ROUNDS * sum(range(1, THREADS + 1))
    assert balances_of(connection, users) == dict.fromkeys(users, 1_000_000 - taken)
    query = "select user_id, sum(amount)::bigint from entries where user_id = any(%s) group by user_id"
    assert dict(connection.execute(query, [users]).fetchall()) == dict.fromkeys(users, 1_000_000 - taken)


def test_batches_with_the_same_request_ids_in_different_orders_conflict_and_dont_deadlock(
    database, connection, threads
):
    users = open_accounts(connection, [1_000_000] * THREADS)
    ids = [[uuid4() for _ in range(200)] for _ in range(ROUNDS)]
    counts = in_rounds(
        database,
        threads,
        lambda t, n: shuffled([Wanted(users[t], -1, request_id) for request_id in ids[n]], t, n),
        conflict="one_entry_per_request",
    )
    assert counts["posted"] == ROUNDS * 200
    assert counts["request_id_reused"] + 200 * counts["conflict"] == (THREADS - 1) * ROUNDS * 200
    assert sum(balances_of(connection, users).values()) == THREADS * 1_000_000 - ROUNDS * 200


def test_batches_with_the_same_keys_in_different_orders_conflict_and_dont_deadlock(
    database, connection, threads
):
    users = open_accounts(connection, [1_000_000] * THREADS)
    counts = in_rounds(
        database,
        threads,
        lambda t, n: shuffled([Wanted(users[t], -1, key=f"{n}/{k}") for k in range(200)], t, n),
        conflict="one_outcome_per_key",
    )
    assert counts["posted"] == ROUNDS * 200
    assert counts["key_reused"] + 200 * counts["conflict"] == (THREADS - 1) * ROUNDS * 200
    assert sum(balances_of(connection, users).values()) == THREADS * 1_000_000 - ROUNDS * 200


def test_batches_lists_and_single_movements_of_the_same_accounts_dont_deadlock(database, connection, threads):
    users = open_accounts(connection, [1_000_000] * 50)

    def move_some(thread: int) -> int:
        with database.connect() as own:
            own.execute("set synchronous_commit = off")
            moved = 0
            for number in range(ROUNDS):
                batch = shuffled([Wanted(user_id, -1) for user_id in users], thread, number)
                if thread < 2:
                    moved += len(post_batch(own, batch))
                elif thread < 4:
                    moved += sum(post_alone(own, one).outcome == "posted" for one in batch)
                else:
                    try:
                        moved += len(post_list(own, batch, None, None))
                    except psycopg.errors.LockNotAvailable:
                        continue  # a list never waits; it did nothing
            return moved

    moved = sum(threads.map(move_some, range(THREADS)))
    assert sum(balances_of(connection, users).values()) == 50 * 1_000_000 - moved
