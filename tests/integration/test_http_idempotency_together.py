"""One Idempotency-Key in many requests at once: one effect, whoever waits, dies or comes too late."""

import asyncio
from collections import Counter

import pytest
from http_service import (
    Service,
    is_untouched,
)
from keyed_requests import REPLAYED, ROUTES, TAKE, entries_of, is_replay, post

# At the same moment


@pytest.fixture
def two_nodes(io_loop, service, database, tmp_path):
    other = Service(database, tmp_path, name="node-2")
    io_loop.run_sync(other.start)
    yield service, other
    io_loop.run_sync(other.stop)


@pytest.mark.parametrize(("path", "body"), ROUTES)
@pytest.mark.gen_test(timeout=60)
async def test_a_hundred_clients_with_one_key_cause_one_effect(two_nodes, path, body):
    answers = await asyncio.gather(
        *(post(node, path, body, "k") for node in two_nodes for _ in range(50)),
    )
    assert len({(answer.status, answer.body) for answer in answers}) == 1
    assert Counter(answer.headers.get(REPLAYED) for answer in answers) == {None: 1, "true": 99}
    node = two_nodes[0]
    expected = {"/withdraw": [-30], "/deposit": [30], "/withdrawals": [-30], "/users": []}
    assert await entries_of(node) == expected[path]
    assert (await node.call("GET", "/users/3")).status == 404


@pytest.mark.gen_test(timeout=60)
async def test_a_hundred_clients_with_one_key_and_other_payloads_cause_one_effect(two_nodes):
    answers = await asyncio.gather(
        *(
            post(node, path, {"userId": 1, "amount": amount}, "k")
            for amount in (1, 2, 3)
            for node in two_nodes
            for path in ("/withdraw", "/deposit")
            for _ in range(9)
        ),
    )
    assert len(await entries_of(two_nodes[0])) == 1
    assert Counter(answer.status for answer in answers) == {200: 18, 422: 90}
    assert len({answer.body for answer in answers if answer.status == 200}) == 1
    assert Counter(answer.headers.get(REPLAYED) for answer in answers) == {None: 91, "true": 17}


@pytest.mark.gen_test(timeout=60)
async def test_a_hundred_keys_at_once_are_a_hundred_effects(two_nodes):
    answers = await asyncio.gather(
        *(post(two_nodes[n % 2], "/withdraw", TAKE, f"k{n % 100}") for n in range(200))
    )
    assert Counter(answer.status for answer in answers) == {200: 200}
    assert await entries_of(two_nodes[0]) == [-30] * 100


@pytest.mark.parametrize(("path", "body"), ROUTES)
@pytest.mark.gen_test
async def test_the_outcome_is_kept_in_the_transaction_of_its_effect(service, database, path, body):
    with database.connect_as_owner() as owner:
        owner.execute(
            """create function refuse() returns trigger language plpgsql as
               $$ begin raise exception 'at the very end' using errcode = '42501'; end $$"""
        )
        for table in ("entries", "idempotency_keys"):
            # One of the two fails when the transaction commits: then there is neither.
            owner.execute(
                f"""create constraint trigger refuse after insert on {table}
                    deferrable initially deferred for each row execute function refuse()"""
            )
            assert (await post(service, path, body, "k")).is_problem(500, "internal_error")
            assert await is_untouched(service)
            assert owner.execute("select count(*) from idempotency_keys").fetchone() == (0,)
            owner.execute(f"drop trigger refuse on {table}")
    answer = await post(service, path, body, "k")
    assert (answer.status // 100, answer.headers.get(REPLAYED)) == (2, None)


# Pruning


@pytest.mark.gen_test
async def test_a_key_counts_until_it_is_pruned_and_is_new_after_that(service, database):
    for path, body in (ROUTES[0], ROUTES[3]):
        first = await post(service, path, body, path)
        with database.connect() as pruner:
            assert pruner.execute("select prune_idempotency_keys('24 hours', 100)").fetchone() == (0,)
            assert is_replay(await post(service, path, body, path), first)
            assert pruner.execute("select prune_idempotency_keys('0', 100)").fetchone() >= (1,)
        anew = await post(service, path, body, path)
        assert (anew.status, anew.headers.get(REPLAYED)) == (first.status, None)
        assert anew.body != first.body
    assert await entries_of(service) == [-30, -30]
