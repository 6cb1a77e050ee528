"""The money path through PgBouncer, whose sessions are killed under it."""

import asyncio
from collections import Counter

import pytest
from ledger_calls import balances_of, history_of, open_accounts
from money_path import MoneyPath
from pooler import several_sessions

from server.money.postings import Wish

# Whichever session serves a batch at this moment; its client is the pooler, not the node.
KILL = """
select pg_terminate_backend(a.pid)
  from pg_stat_activity as a
 where a.datname = current_database()
   and a.usename = 'ringfence'
   and a.state = 'active'
   and a.pid <> pg_backend_pid()
"""
KILLS = 5


@pytest.mark.gen_test(timeout=60)
async def test_sessions_killed_behind_the_pooler_cost_no_answer_and_nothing_counts_twice(database):
    several_sessions(database)
    path = MoneyPath(database.application_url)
    await path.start()
    with database.connect() as connection:
        users = open_accounts(connection, [1000] * 20)
        outcomes: Counter[str] = Counter()

        async def move_some(user_id: int) -> None:
            for n in range(100):
                wish = Wish(key=f"{user_id}/{n}" if n % 2 else None)
                outcomes[(await path.outcome(user_id, -1, wish))[0]] += 1

        moving = asyncio.gather(*map(move_some, users))
        kills = 0
        while not moving.done() and kills < KILLS:
            await asyncio.wait({moving}, timeout=0.01)
            kills += len(connection.execute(KILL).fetchall())
        await moving
        assert kills >= KILLS
        assert outcomes == {"posted": 2000}
        assert balances_of(connection, users) == dict.fromkeys(users, 900)
        assert [len(history_of(connection, user_id)) for user_id in users] == [101] * 20
    await path.stop()
