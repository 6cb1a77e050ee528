"""Calls of the shared pool end by their deadlines, whatever the connection does."""

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
