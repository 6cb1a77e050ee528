"""procrastinate as somebody uses it for periodic tasks that must not overlap; for failover.py.

    python cron_procrastinate.py install | work

What its documents advise for exactly this:

"Ensure jobs run sequentially and in order"
    A `lock`, here of the task's name: a second job "cannot run before the first
    one has ended". What comes due meanwhile is queued and runs afterwards. The
    documents offer a `queueing_lock` beside it, which keeps at most one waiting.
    It is left out in procrastinate's favour: with 3.10.0 the retry of a stalled
    job fails (procrastinate_jobs_queueing_lock_idx_v1) as soon as the task's next
    time waits in the queue, and that one waits for the stalled one, for ever.
"Retry stalled jobs"
    Workers "update heartbeats at a regular interval (every 10 seconds by
    default)". If nothing is done, jobs of a killed worker "will remain in the
    queue forever"; the user adds a periodic task that looks for jobs of workers
    without a heartbeat for 30 s and retries them. The document's own task is
    copied here, with its cron expression: every ten minutes.

With FAILOVER_TUNED that task runs every five seconds; everything else stays.
Workers have their defaults, one job at a time included.
"""

import asyncio
import os
import sys

from procrastinate import App, JobContext, PsycopgConnector

from benchmarks.apparatus.witness import PERIOD_SECONDS, TASKS, WORKER_VARIABLE, announce, work_here

RETRY_CRON = "* * * * * */5" if "FAILOVER_TUNED" in os.environ else "*/10 * * * *"

app = App(connector=PsycopgConnector())


def define(name: str) -> None:
    """One periodic task. The sixth field counts seconds."""

    @app.periodic(cron=f"* * * * * */{PERIOD_SECONDS}")
    @app.task(name=name, lock=name)
    async def job(timestamp: int) -> None:
        await work_here(name)


for task in TASKS:
    define(task)


@app.periodic(cron=RETRY_CRON)
@app.task(queueing_lock="retry_stalled_jobs", pass_context=True)
async def retry_stalled_jobs(context: JobContext, timestamp: int) -> None:
    stalled_jobs = await app.job_manager.get_stalled_jobs()
    for job in stalled_jobs:
        await app.job_manager.retry_job(job)


async def main(command: str) -> None:
    async with app.open_async():
        if command == "install":
            await app.schema_manager.apply_schema_async()
        else:
            announce()
            await app.run_worker_async(name=os.environ[WORKER_VARIABLE])


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
