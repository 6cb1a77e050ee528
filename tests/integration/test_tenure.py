"""A tenure and its guardian: what a blocked loop must not be taken for."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time

import pytest
from fleet import is_alive

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


def test_a_guardian_that_could_not_be_replaced_is_replaced_by_a_later_try(holding, monkeypatch):
    async def work(tenure):
        with monkeypatch.context() as for_a_while:
            for_a_while.setattr(sys, "executable", "/nowhere/python")
            with pytest.raises(FileNotFoundError):
                await tenure.replace_guardian()
        assert not await tenure.hold()
        await tenure.replace_guardian()
        return await tenure.hold()

    assert holding(work) is True


LOOP_TENURE = """
import asyncio, os, signal, sys
from pathlib import Path
from server.cluster.heartbeat import Pace
from server.cluster.lease import Lease, boot_time
from server.cluster.lifelock import LifeLock
from server.cluster.tenure import Tenure, TenureEvents

async def main():
    hear = lambda *_: None
    tenure = Tenure("node-1", LifeLock(Path(sys.argv[1]), "node-1"), TenureEvents(hear, hear, hear, hear, hear))
    lease = Lease(boot_time(), ttl_seconds=6, margin_seconds=2)
    tenure.begin(1, lease, "postgresql://nobody@127.0.0.1:1/nothing", Pace(1, 6, 2, proof_of_death=False))
    assert await tenure.hold(in_loop=True)
    os.kill(tenure.guardian.pid, signal.SIGSTOP)
    print("lease", lease.sent_at + lease.ttl_seconds, tenure.guardian.pid, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


def test_a_node_with_a_run_in_its_loop_ends_itself_where_its_guardian_is_frozen(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", LOOP_TENURE, str(tmp_path / "locks")], stdout=subprocess.PIPE, text=True
    ) as node:
        assert node.stdout is not None
        words = next(line.split() for line in node.stdout if line.startswith("lease"))
        try:
            assert node.wait(10) == -signal.SIGKILL
            assert boot_time() < float(words[1])
            assert not is_alive(int(words[2])), "the guardian went first"
        finally:
            node.kill()
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(words[2]), signal.SIGKILL)
