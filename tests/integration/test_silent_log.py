"""A log that nobody reads any more (a full pipe) blocks whoever writes to it; stops come before it."""

import asyncio
import os
import sys
import threading
from pathlib import Path

import pytest

from server.cluster import tenure
from server.cluster.heartbeat import Pace
from server.cluster.lease import Lease, boot_time
from server.cluster.lifelock import LifeLock
from server.cluster.tenure import Tenure, TenureEvents

SLEEPER = "import time; time.sleep(600)"


class FullPipe:
    """In place of the log: every call blocks until it is read from."""

    def __init__(self) -> None:
        self.is_waited_for = threading.Event()
        self.is_read = threading.Event()

    def error(self, *_: object, **__: object) -> None:
        self.is_waited_for.set()
        self.is_read.wait(60)

    warning = info = error


@pytest.fixture
def full_pipe(monkeypatch: pytest.MonkeyPatch) -> FullPipe:
    pipe = FullPipe()
    monkeypatch.setattr(tenure, "log", pipe)
    return pipe


def test_at_the_soft_stop_runs_are_stopped_although_nobody_reads_the_log(tmp_path, full_pipe):
    async def let_the_soft_stop_come() -> float:
        started, ended = asyncio.Event(), asyncio.Event()

        def told(message: dict[str, object]) -> None:
            {"started": started, "ended": ended}[str(message["is"])].set()

        lock = LifeLock(tmp_path / "locks", "node-1")
        one = Tenure("node-1", lock, TenureEvents(print, print, print, told, print))
        # The guardian's own deadline lies far behind the soft stop, so it can't be the one that ended the job.
        lease = Lease(boot_time() - 20, ttl_seconds=24, margin_seconds=1)
        one.begin(1, lease, "postgresql://nobody@127.0.0.1:1/nothing", Pace(1, 24, 1, proof_of_death=False))
        serial = one.guardian.arm(boot_time() + 600, 0)
        assert one.deadlines.begin(1, 600.0)
        with Path(os.devnull).open("r+b") as null:
            one.guardian.start(1, [sys.executable, "-c", SLEEPER], (null.fileno(), null.fileno()))
        async with asyncio.timeout(10):
            await started.wait()
            await asyncio.to_thread(full_pipe.is_waited_for.wait, 10)
            assert one.guardian.answered(serial)
            await ended.wait()
        left_seconds = lease.hard_stop_at - boot_time()
        full_pipe.is_read.set()
        await one.end()
        return left_seconds

    assert asyncio.run(let_the_soft_stop_come()) > 0
