"""Celery with beat, Redis and the lock of Celery's own cookbook; for failover.py.

    celery -A cron_celery worker -n NAME@%h
    celery -A cron_celery beat

What its documents advise for exactly this:

"Periodic Tasks"
    One beat ("ensure only a single scheduler is running"). "The tasks may
    overlap […] you should use a locking strategy", with a link to the cookbook.
"Task Cookbook: ensuring a task is only executed one at a time"
    A lock in a shared cache, added by whoever comes first, which "expires after
    some time in case something unexpected happens […]. For this reason your
    tasks run-time shouldn't exceed the timeout". There it is Django's cache and
    ten minutes; here it is Redis, which has the same operation as SET NX EX.
"Tasks", "Optimizing"
    `acks_late` where a task shall be executed again if its worker crashes, and
    `worker_prefetch_multiplier = 1` with it. Redis gives what was not
    acknowledged to another worker after the visibility timeout, 1 hour.

With FAILOVER_TUNED lock and visibility timeout are 30 s, six times the job;
everything else stays.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import Iterator

import redis
from celery import Celery, Task
from celery.signals import worker_ready

from benchmarks.apparatus.witness import PERIOD_SECONDS, TASKS, announce, work_here

BROKER = os.environ["FAILOVER_BROKER"]
TUNED = "FAILOVER_TUNED" in os.environ
LOCK_SECONDS = 30 if TUNED else 60 * 10

app = Celery("cron_celery", broker=BROKER)
app.conf.task_acks_late = True
app.conf.worker_prefetch_multiplier = 1
app.conf.beat_schedule = {
    name: {"task": "cron_celery.job", "schedule": float(PERIOD_SECONDS), "args": [name]} for name in TASKS
}
if TUNED:
    app.conf.broker_transport_options = {"visibility_timeout": LOCK_SECONDS}
    app.conf.visibility_timeout = LOCK_SECONDS

cache = redis.Redis.from_url(BROKER)


@contextlib.contextmanager
def cache_lock(lock_id: str, owner: str) -> Iterator[bool]:
    """Whether the lock was free; the cookbook's, line by line."""
    timeout_at = time.monotonic() + LOCK_SECONDS - 3
    # Adding fails if the key already exists.
    status = bool(cache.set(lock_id, owner, nx=True, ex=LOCK_SECONDS))
    try:
        yield status
    finally:
        # A lock that timed out may be somebody else's by now.
        if time.monotonic() < timeout_at and status:
            cache.delete(lock_id)


@app.task(bind=True)
def job(self: Task, name: str) -> None:
    with cache_lock(f"lock-{name}", self.app.oid) as acquired:
        if acquired:
            asyncio.run(work_here(name))


@worker_ready.connect
def tell(**_: object) -> None:
    announce()
