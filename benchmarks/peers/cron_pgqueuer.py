"""PgQueuer as somebody uses it for periodic tasks; for failover.py.

    pgq install
    python cron_pgqueuer.py

What its documents advise for exactly this:

"Scheduling"
    `@pgq.schedule(name, expression)`; a sixth field counts seconds. "The
    scheduler uses FOR UPDATE SKIP LOCKED to ensure only one worker runs each
    scheduled task, even across multiple processes."
"Deployment"
    Several workers by `pgq run --shutdown-on-listener-failure`, under a supervisor
    that starts them again. Here `PgQueuer.run()` is called instead, which that
    command calls too: with today's typer, pgq 1.6.0 ends with an AttributeError.
"Concurrency Control", "Reliability Model"
    A picked job whose heartbeat is older than 30 s, the default, "becomes
    eligible for re-pickup by another worker". For a schedule this can't be set.
    A worker with a blocked event loop "misses heartbeats and gets its job
    re-delivered while the original run may still finish" (ADR-0005), which
    jobs are asked to tolerate.

So there is nothing to tune, and no tuned form of it.
"""

import asyncio

import asyncpg
from pgqueuer import PgQueuer
from pgqueuer.models import Schedule

from benchmarks.apparatus.witness import PERIOD_SECONDS, TASKS, announce, work_here


def define(pgq: PgQueuer, name: str) -> None:
    """One schedule."""

    @pgq.schedule(name, f"* * * * * */{PERIOD_SECONDS}")
    async def job(schedule: Schedule) -> None:
        await work_here(name)


async def main() -> None:
    """Where the database is, libpq's variables say."""
    pgq = PgQueuer.from_asyncpg_connection(await asyncpg.connect())
    for name in TASKS:
        define(pgq, name)
    announce()
    await pgq.run(shutdown_on_listener_failure=True)


if __name__ == "__main__":
    asyncio.run(main())
