"""Calls of the shared pool end by their deadlines, whatever the connection does."""

import asyncio
from collections.abc import Callable
from contextlib import asynccontextmanager
from time import monotonic

import pytest
from wire import Wire

from server.errors import DatabaseUnavailableError
from server.postgres import connections
from server.postgres.connections import Database, UnansweredError

QUESTION = "select 1 as one"


@asynccontextmanager
async def pool_of(url: str, connections: int = 1):
    pool = Database(url, connections=connections, name="pool of a test")
    await pool.open()
    try:
        yield pool
    finally:
        await pool.close()


async def until(happened: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not happened():
            await asyncio.sleep(0.01)


@pytest.mark.gen_test
async def test_a_call_over_a_connection_that_fell_silent_ends_at_its_deadline(database):
    with Wire(database.application_url) as wire:
        pool = Database(wire.url, connections=1, name="pool of a test")
        await pool.open()
        assert await pool.rows(QUESTION)
        wire.silence()
        began = monotonic()
        with pytest.raises(DatabaseUnavailableError):
            await pool.rows(QUESTION, deadline_seconds=1)
        assert monotonic() - began < 3
        wire.heal()
        assert (await pool.rows(QUESTION))[0].one == 1
        await pool.close()


@pytest.mark.gen_test
@pytest.mark.parametrize("repeatable", [True, False])
async def test_a_migration_that_changes_what_a_statement_returns_costs_each_session_once_and_no_answer(
    database, repeatable
):
    """ "cached plan must not change result type" is what a session says that prepared it before."""
    pool = Database(database.application_url, connections=2, name="pool of a test")
    await pool.open()
    with database.connect_as_owner() as owner:
        owner.execute("create table told (one integer)")
        owner.execute("insert into told values (1)")
        owner.execute("grant select on told to ringfence")
        for _ in range(20):  # until both have surely prepared it
            await asyncio.gather(*(pool.rows("select * from told") for _ in range(2)))
        owner.execute("alter table told add column two integer default 2")
        for rows in await asyncio.gather(
            *(pool.rows("select * from told", repeatable=repeatable) for _ in range(2))
        ):
            assert rows == [(1, 2)]
        names = "select count(*) from pg_stat_activity where application_name = 'pool of a test'"
        async with asyncio.timeout(30):
            while owner.execute(names).fetchone() != (2,):  # the pool is whole again
                await asyncio.sleep(0.02)
    await pool.close()


@pytest.mark.gen_test
async def test_a_call_that_waited_for_a_busy_connection_to_its_end_closes_none_and_is_no_outage(
    database, monkeypatch
):
    monkeypatch.setattr(connections, "ANSWER_SECONDS_MIN", 30)
    async with pool_of(database.application_url) as pool:
        await pool.rows(QUESTION, deadline_seconds=60)
        busy = asyncio.create_task(pool.rows("select pg_sleep(0.2)", deadline_seconds=60))
        await asyncio.sleep(0)  # it has the connection
        with pytest.raises(DatabaseUnavailableError):
            await pool.rows(QUESTION, deadline_seconds=0.5)
        await busy
        await pool.rows(QUESTION, deadline_seconds=60)
        assert (pool.pulse.outage_seconds, pool.statistics()["connections_num"]) == (0, 1)


@pytest.mark.gen_test
async def test_a_read_over_a_connection_that_fell_silent_is_answered_over_another_one(database):
    with Wire(database.application_url) as wire:
        async with pool_of(wire.url) as pool:
            assert await pool.rows(QUESTION)
            wire.forget()
            assert (await pool.rows(QUESTION, answer_seconds_max=0.5))[0].one == 1
            wire.forget()
            with pytest.raises(UnansweredError):  # sent, and it must not be sent twice
                await pool.rows(QUESTION, answer_seconds_max=0.5, repeatable=False)
            assert (await pool.rows(QUESTION, repeatable=False))[0].one == 1


@pytest.mark.gen_test
async def test_what_must_not_be_sent_twice_is_sent_once_after_its_connection_had_broken_idle(database):
    async with pool_of(database.application_url) as pool:
        ((pid,),) = await pool.rows("select pg_backend_pid()")
        with database.connect() as other:
            other.execute("select pg_terminate_backend(%s)", [pid])
            await until(
                lambda: not other.execute("select 1 from pg_stat_activity where pid = %s", [pid]).fetchone()
            )
        assert (await pool.rows(QUESTION, repeatable=False))[0].one == 1


@pytest.mark.gen_test
async def test_a_pool_is_whole_again_after_an_outage_though_nobody_asked_anything(database):
    with Wire(database.application_url) as wire:
        wire.refuse()
        async with pool_of(wire.url, connections=3) as pool:
            await until(lambda: pool.statistics().get("connections_errors", 0) >= 8)
            began, tries = monotonic(), pool.statistics()["connections_num"]
            await until(lambda: monotonic() > began + 2)
            assert pool.statistics()["connections_num"] - tries < 2 / 0.1, "it spins"
            wire.heal()
            await until(lambda: pool.statistics()["pool_available"] == 3)
