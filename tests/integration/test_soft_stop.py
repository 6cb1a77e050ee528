"""The soft stop: what it ends is told as interrupted, in whichever order the loop hears of it."""

import asyncio
from typing import Any

from server.cluster.lease import Lease, boot_time
from server.cluster.lifelock import LifeLock
from server.cluster.tenure import Tenure, TenureEvents
from server.cron.context import RunSpec
from server.cron.executor import Executor, Outcome


def test_a_run_that_the_soft_stop_killed_is_interrupted_though_its_death_was_heard_of_before_the_reason(
    tmp_path,
):
    assert asyncio.run(outcome_of_a_soft_stop(tmp_path)).status == "interrupted"


async def outcome_of_a_soft_stop(tmp_path) -> Outcome:
    heard: list[Executor] = []

    def tell(message: dict[str, Any]) -> None:
        heard[-1].told(message)

    events = TenureEvents(
        beaten=lambda beat: None,
        at_risk=lambda: None,  # the reason, which does not come in time
        lost=lambda: None,
        told_by_guardian=tell,
        guardian_gone=lambda: None,
    )
    tenure = Tenure("node-1", LifeLock(tmp_path / "locks", "node-1"), events)
    tenure._lease = Lease(boot_time(), 60.0, 2.0)
    executor = Executor(tenure, lambda run, progress: None)
    heard.append(executor)
    try:
        assert await tenure.hold()
        spec = RunSpec(
            run_id=1,
            task="task",
            node="node-1",
            function="server.jobs.pi:estimate_pi",
            params={"minimum_seconds": 600},
            var=str(tmp_path),
            scratch=str(tmp_path / "scratch"),
            database_url="",
        )
        job = executor.start(spec, timeout_seconds=60.0)
        async with asyncio.timeout(30):
            while job.pid is None:
                await asyncio.sleep(0.01)
            await asyncio.to_thread(tenure.at_risk)
            return await job.done
    finally:
        await tenure.end()
