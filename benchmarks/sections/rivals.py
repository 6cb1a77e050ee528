"""Who is compared in failover.py, and in which configuration."""

import sys
from collections.abc import Callable
from functools import partial

from benchmarks.apparatus import redis
from benchmarks.apparatus.contestants import Ground
from benchmarks.apparatus.crew import PEERS, PeerScheduler
from benchmarks.apparatus.packages import missing_python
from benchmarks.apparatus.postgres import Database, Postgres
from benchmarks.apparatus.schedulers import RingfenceScheduler, Scheduler

BROKER_PORT_ABOVE = 20
TUNED = {"FAILOVER_TUNED": "1"}


def rivals(ground: Ground, postgres: Postgres) -> list[Scheduler]:
    """All of them, those that can't take part here included. What the documents of each
    advise stands in its file in benchmarks/peers."""

    def database(letter: str) -> Callable[[], Database]:
        return lambda: postgres.empty_database(f"failover_{letter}")

    procrastinate = partial(
        PeerScheduler,
        ground=ground,
        prepare=[sys.executable, str(PEERS / "cron_procrastinate.py"), "install"],
        worker=[sys.executable, str(PEERS / "cron_procrastinate.py"), "work"],
        missing=missing_python("procrastinate"),
    )
    apscheduler = partial(
        PeerScheduler,
        ground=ground,
        prepare=[sys.executable, str(PEERS / "cron_apscheduler.py"), "install"],
        worker=[sys.executable, str(PEERS / "cron_apscheduler.py"), "work"],
        missing=missing_python("apscheduler", "asyncpg"),
    )
    return [
        RingfenceScheduler(ground, lambda: postgres.ringfence_database("failover_a")),
        procrastinate("b", "procrastinate", "30 s, looked for every 10 min", database=database("b")),
        procrastinate(
            "c",
            "procrastinate, tuned",
            "30 s, looked for every 5 s",
            database=database("c"),
            environment=TUNED,
        ),
        PeerScheduler(
            "d",
            "PgQueuer",
            "30 s",
            ground,
            database("d"),
            worker=[sys.executable, str(PEERS / "cron_pgqueuer.py")],
            prepare=[sys.executable, "-m", "pgqueuer", "install"],
            missing=missing_python("pgqueuer", "asyncpg"),
        ),
        apscheduler("e", "APScheduler 4", "30 s, looked for every 15 min", database=database("e")),
        apscheduler(
            "f",
            "APScheduler 4, tuned",
            "30 s, looked for every 5 s",
            database=database("f"),
            environment=TUNED,
        ),
        _celery(ground, "g", "Celery beat, lock of its cookbook", "10 min", database("g")),
        _celery(ground, "h", "Celery beat, tuned", "30 s", database("h"), tuned=True),
    ]


def _celery(
    ground: Ground, letter: str, name: str, lease: str, database: Callable[[], Database], tuned: bool = False
) -> PeerScheduler:
    celery = [sys.executable, "-m", "celery", "-A", "cron_celery"]
    port = ground.port + BROKER_PORT_ABOVE
    return PeerScheduler(
        letter,
        name,
        lease,
        ground,
        database,
        worker=[*celery, "worker", "-n", "{worker}@%h", "--loglevel", "INFO"],
        besides={"beat": [*celery, "beat", "--loglevel", "INFO"]},
        environment={"FAILOVER_BROKER": redis.url(port), **(TUNED if tuned else {})},
        beneath=lambda: redis.running(ground, port),
        missing=missing_python("celery", "redis") or ("" if redis.is_here() else redis.MISSING),
    )
