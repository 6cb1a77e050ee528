"""A tenure and its guardian: what a blocked loop must not be taken for."""

import asyncio
import os
import signal
import time

import pytest

from server.cluster.heartbeat import Beat
from server.cluster.lease import Lease, boot_time
from server.cluster.lifelock import LifeLock
from server.cluster.tenure import GUARDIAN_SILENCE_SECONDS_MAX, Tenure, TenureEvents

NOTHING_HEARD = Beat(0.0, 1, frozenset(), frozenset())


def ignore(*_: object) -> None:
    pass


@pytest.fixture
def holding(tmp_path):
    """Runs a coroutine that is given a tenure which holds a run."""

    def execute(work):
        async def with_a_tenure():
            lock = LifeLock(tmp_path / "locks", "node-1")
            tenure = Tenure("node-1", lock, TenureEvents(ignore, ignore, ignore, ignore, ignore))
            tenure.renewed(lease(), NOTHING_HEARD)
            try:
                assert await tenure.hold()
                return await work(tenure)
            finally:
                await tenure.end(patience_seconds=0.2)

        return asyncio.run(with_a_tenure())

    return execute


def lease() -> Lease:
    return Lease(boot_time(), ttl_seconds=60, margin_seconds=2)


def block_the_loop(tenure: Tenure) -> bool:
    """Lets the heartbeat's thread, so to speak, beat while the loop hears nothing; then asks as a beat does."""
    tenure.renewed(lease(), NOTHING_HEARD)
    assert not tenure.guardian_is_frozen()
    time.sleep(GUARDIAN_SILENCE_SECONDS_MAX + 0.2)
    tenure.renewed(lease(), NOTHING_HEARD)
    return tenure.guardian_is_frozen()


def test_a_guardian_that_answered_while_the_loop_was_blocked_is_not_taken_for_frozen(holding):
    async def work(tenure):
        return block_the_loop(tenure)

    assert holding(work) is False


def test_a_guardian_that_was_silent_all_the_time_is(holding):
    async def work(tenure):
        os.kill(tenure.guardian.pid, signal.SIGSTOP)
        return block_the_loop(tenure)

    assert holding(work) is True
