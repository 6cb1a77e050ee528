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
OPENING = 2000


@pytest.mark.gen_test(timeout=60)
async def test_sessions_killed_behind_the_pooler_cost_no_answer_and_nothing_counts_twice(database):
    several_sessions(database)
    path = MoneyPath(database.application_url)
    await path.start()
    with database.connect() as connection:
        users = open_accounts(connection, [OPENING] * 20)
        outcomes: Counter[str] = Counter()
        moved = dict.fromkeys(users, 0)
        kills = 0

        async def move_some(user_id: int) -> None:
            # A fast machine moves much before it is killed often enough; an account has no more than this.
            while moved[user_id] < 100 or (kills < KILLS and moved[user_id] < OPENING):
                key = f"{user_id}/{moved[user_id]}" if moved[user_id] % 2 else None
                moved[user_id] += 1
                outcomes[(await path.outcome(user_id, -1, Wish(key=key)))[0]] += 1

        moving = asyncio.gather(*map(move_some, users))
        while not moving.done() and kills < KILLS:
            await asyncio.wait({moving}, timeout=0.01)
            kills += len(connection.execute(KILL).fetchall())
        await moving
        assert kills >= KILLS
        assert outcomes == {"posted": sum(moved.values())}
        assert balances_of(connection, users) == {user_id: OPENING - moved[user_id] for user_id in users}
        assert [len(history_of(connection, user_id)) - 1 for user_id in users] == list(moved.values())
    await path.stop()
