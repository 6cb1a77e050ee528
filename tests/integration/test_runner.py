"""What the runner holds of the guardian when a start comes to nothing."""

import asyncio
from datetime import UTC, datetime

import psycopg
import pytest

from server.cluster.heartbeat import Beat
from server.cluster.lease import Lease, boot_time
from server.cluster.lifelock import LifeLock
from server.cluster.tenure import Tenure, TenureEvents
from server.cron.catalogue import Catalogue
from server.cron.figures import CronFigures
from server.cron.runner import Runner
from server.cron.view import TaskView
from server.postgres.connections import Database
from server.settings import Settings, TaskSettings

NOTHING_HEARD = Beat(0.0, 1, frozenset(), frozenset())
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


def ignore(*_: object) -> None:
    pass


def test_a_start_that_fails_in_a_way_that_nobody_foresaw_leaves_no_hold_on_the_guardian(database, tmp_path):
    with database.connect_as_owner() as owner:
        owner.execute("revoke execute on all functions in schema public from public, ringfence")
    job = TaskSettings(function="witness:work", every=3600.0, isolation="loop")
    settings = Settings(home=tmp_path, source="test", tasks={"job": job})
    task = Catalogue.from_settings(settings).tasks["job"]
    seen = TaskView("job", task, False, LONG_AGO, None, None, False)

    async def start() -> None:
        pool = Database(database.application_url, connections=1, name="runner")
        await pool.open()
        tenure = Tenure(
            "node-1",
            LifeLock(tmp_path / "locks", "node-1"),
            TenureEvents(ignore, ignore, ignore, ignore, ignore),
        )
        tenure.renewed(Lease(boot_time(), 60, 2), NOTHING_HEARD)
        runner = Runner(settings, database.application_url, pool, tenure, CronFigures())
        try:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                await runner.start(seen, task, LONG_AGO)
            armed, _ = tenure.guardian.serials
            tenure.renewed(Lease(boot_time(), 60, 2), NOTHING_HEARD)
            assert tenure.guardian.serials[0] == armed, (
                "a renewal arms the guardian again of one who holds a run"
            )
        finally:
            runner.end()
            await tenure.end(patience_seconds=0.5)
            await pool.close()

    asyncio.run(start())
