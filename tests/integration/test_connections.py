"""Calls of the shared pool end by their deadlines, whatever the connection does."""

import asyncio
from time import monotonic

import pytest
from wire import Wire

from server.errors import DatabaseUnavailableError
from server.postgres.connections import Database

QUESTION = "select 1 as one"


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
