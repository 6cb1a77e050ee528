"""APScheduler 4 as somebody uses it on several nodes with one data store; for failover.py.

    python cron_apscheduler.py install | work

Version 4 is a pre-release ("do NOT use this release in production!"), and there
is no other: of 3.x, the maintained one, the documents say that "sharing a
persistent job store among two or more processes will lead to incorrect
scheduler behavior like duplicate execution".

What the documents of version 4 advise for exactly this:

    A persistent data store and an event broker, here PostgreSQL for both, shared
    by schedulers that each have an identity of their own; a task runs once at a
    time by default (`max_running_jobs` 1). A scheduler holds a job by a lease of
    30 s, which it extends. `cleanup()` releases "jobs whose leases have expired
    (so the schedulers responsible for them have probably died)"; it runs at the
    start and every `cleanup_interval`, by default 15 minutes. A scheduler that
    comes back under the same identity releases what it had itself; so the
    identities here outlive a restart. A released run is recorded as abandoned
    and not repeated: the task runs again at its next time.

With FAILOVER_TUNED `cleanup_interval` is five seconds; everything else stays.
"""

import asyncio
import os
import sys

from apscheduler import AsyncScheduler
from apscheduler.datastores.sqlalchemy import SQLAlchemyDataStore
from apscheduler.eventbrokers.asyncpg import AsyncpgEventBroker
from apscheduler.triggers.interval import IntervalTrigger
from sqlalchemy.ext.asyncio import create_async_engine

from benchmarks.apparatus.witness import PERIOD_SECONDS, TASKS, WORKER_VARIABLE, announce, work_here

CLEANUP = {"cleanup_interval": 5} if "FAILOVER_TUNED" in os.environ else {}


async def main(command: str) -> None:
    """Where the database is, libpq's variables say."""
    engine = create_async_engine("postgresql+asyncpg://")
    scheduler = AsyncScheduler(
        SQLAlchemyDataStore(engine),
        AsyncpgEventBroker.from_async_sqla_engine(engine),
        identity=os.environ[WORKER_VARIABLE],
        **CLEANUP,
    )
    async with scheduler:  # makes the tables, which six at once would trip over
        if command == "install":
            return
        for name in TASKS:
            await scheduler.configure_task(name, func=work_here)
            await scheduler.add_schedule(name, IntervalTrigger(seconds=PERIOD_SECONDS), id=name, args=[name])
        announce()
        await scheduler.run_until_stopped()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
