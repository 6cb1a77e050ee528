"""The guardian: real processes, real signals."""

import asyncio
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_node import ABANDONER, SLEEPER, is_gone, wait_until

from server.cluster.guardian import boot_time
from server.cluster.guardianship import Guardianship
from server.cluster.heartbeat import Pace
from server.cluster.lease import Lease
from server.cluster.lifelock import LifeLock, is_proven_dead
from server.cluster.tenure import Tenure, TenureEvents
from server.process import loop_factory


def test_the_lock_is_held_while_any_process_lives_and_free_when_all_are_gone(fake_node):
    node = fake_node(600, SLEEPER, SLEEPER)
    assert not is_proven_dead(node.lock)
    os.kill(node.process.pid, signal.SIGKILL)
    wait_until(lambda: is_proven_dead(node.lock), 5)
    assert all(is_gone(pid) for pid in node.jobs)


def test_when_the_node_is_killed_an_abandoned_grandchild_dies_too(fake_node, tmp_path):
    note = tmp_path / "grandchild"
    node = fake_node(600, f"PATH = {str(note)!r}\n{ABANDONER}")
    grandchild = int(wait_until(lambda: note.exists() and note.read_text()))
    assert not is_gone(grandchild)
    os.kill(node.process.pid, signal.SIGKILL)
    wait_until(lambda: is_proven_dead(node.lock), 5)
    wait_until(lambda: is_gone(grandchild), 5)


def test_a_frozen_node_is_killed_with_its_jobs_at_the_deadline(fake_node):
    node = fake_node(1.5, SLEEPER)
    os.kill(node.process.pid, signal.SIGSTOP)
    began = time.monotonic()
    wait_until(lambda: is_gone(node.process.pid) and all(is_gone(pid) for pid in node.jobs), 5)
    assert time.monotonic() - began < 4


def test_a_node_that_holds_nothing_is_left_alone_at_the_deadline(fake_node):
    deadline = boot_time() + 4
    node = fake_node(4, "pass")
    wait_until(lambda: is_gone(node.jobs[0]))
    wait_until(lambda: boot_time() > deadline + 1)
    assert not is_gone(node.process.pid)
    assert not is_gone(node.guardian)


def test_a_run_in_the_loop_that_outlasts_its_deadline_ends_its_node_and_all_jobs(fake_node):
    began = time.monotonic()
    node = fake_node(600, SLEEPER, loop_runs={7: 1.5})
    wait_until(lambda: is_gone(node.process.pid) and all(is_gone(pid) for pid in node.jobs), 5)
    assert time.monotonic() - began >= 1.5
    assert node.process.wait() == -signal.SIGKILL
    wait_until(lambda: is_proven_dead(node.lock), 5)


def test_a_run_in_the_loop_that_has_ended_ends_nobody(fake_node):
    began = boot_time()
    node = fake_node(600, SLEEPER, loop_runs={7: None, 8: 600})
    wait_until(lambda: boot_time() > began + 2)
    assert not any(is_gone(pid) for pid in node.everybody())


def test_a_lease_that_ends_with_a_run_in_the_loop_ends_the_node_without_any_process_of_a_job(fake_node):
    node = fake_node(1.5, loop_runs={7: 600})
    wait_until(lambda: is_gone(node.process.pid), 5)


def test_jobs_die_with_a_killed_guardian(fake_node):
    node = fake_node(600, SLEEPER, SLEEPER)
    os.kill(node.guardian, signal.SIGKILL)
    wait_until(lambda: all(is_gone(pid) for pid in node.jobs), 5)


def test_a_frozen_guardian_can_still_be_killed_and_its_jobs_with_it(fake_node):
    node = fake_node(600, SLEEPER)
    os.kill(node.guardian, signal.SIGSTOP)
    os.kill(node.guardian, signal.SIGKILL)
    wait_until(lambda: is_gone(node.jobs[0]), 5)


def test_a_node_without_a_database_kills_its_frozen_guardian_before_the_lease_ends(tmp_path):
    """Neither a heartbeat that asks for it nor the guardian's own deadline could end the job."""

    async def let_the_lease_pass() -> float:
        lock = LifeLock(tmp_path / "locks", "node-1")
        job: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        gone = asyncio.Event()

        def told(message: dict[str, object]) -> None:
            if message["is"] == "started":
                job.set_result(int(str(message["pid"])))

        tenure = Tenure("node-1", lock, TenureEvents(print, print, print, told, gone.set))
        lease = Lease(boot_time(), ttl_seconds=6, margin_seconds=2)
        tenure.begin(1, lease, "postgresql://nobody@127.0.0.1:1/nothing", Pace(1, 6, 2, proof_of_death=False))
        assert await tenure.hold()
        with Path(os.devnull).open("r+b") as null:
            tenure.guardian.start(1, [sys.executable, "-c", SLEEPER], (null.fileno(), null.fileno()))
        pid = await job
        os.kill(tenure.guardian.pid, signal.SIGSTOP)
        await asyncio.wait_for(gone.wait(), 10)
        await asyncio.to_thread(wait_until, lambda: is_gone(pid), 5)
        left_seconds = lease.sent_at + lease.ttl_seconds - boot_time()
        await tenure.end()
        return left_seconds

    assert asyncio.run(let_the_lease_pass()) > 0


def test_a_job_that_is_stopped_is_killed_at_the_deadline_as_any_other(fake_node):
    node = fake_node(3, SLEEPER)
    os.kill(node.jobs[0], signal.SIGSTOP)
    wait_until(lambda: is_gone(node.jobs[0]) and is_gone(node.process.pid), 10)


def test_when_the_guardian_is_killed_its_node_ends_what_a_job_had_abandoned(guardian, tmp_path):
    note = tmp_path / "grandchild"
    guardian.arm(boot_time() + 60, 0)
    os.close(start(guardian, 1, f"PATH = {str(note)!r}\n{ABANDONER}"))
    grandchild = int(wait_until(lambda: note.exists() and note.read_text()))
    os.kill(guardian.pid, signal.SIGKILL)
    guardian.end()
    assert is_gone(grandchild)


def test_a_node_that_reads_no_answer_can_not_hold_up_its_guardian(fake_node):
    """As one that is frozen, or holds the GIL: the guardian must kill at the deadline all the same."""
    node = fake_node(4, SLEEPER)
    node.flood(2000)
    assert not is_gone(node.jobs[0])
    wait_until(lambda: is_gone(node.jobs[0]) and is_gone(node.process.pid), 10)


def test_a_busy_loop_hears_of_the_soft_stop_before_it_hears_what_that_ended(tmp_path):
    """Else a job that was stopped passes for one that died by itself, which is not due again."""
    heard: list[str] = []
    job: list[int] = []

    def told(message: dict[str, object]) -> None:
        heard.append(str(message["is"]))
        job.append(int(str(message.get("pid", 0))))

    async def be_busy() -> None:
        events = TenureEvents(print, lambda: heard.append("at risk"), print, told, print)
        tenure = Tenure("node-1", LifeLock(tmp_path / "locks", "node-1"), events)
        lease = Lease(boot_time(), ttl_seconds=60, margin_seconds=2)
        tenure.begin(
            1, lease, "postgresql://nobody@127.0.0.1:1/nothing", Pace(1, 60, 2, proof_of_death=False)
        )
        assert await tenure.hold()
        assert tenure.deadlines.begin(1, 600.0)
        with Path(os.devnull).open("r+b") as null:
            tenure.guardian.start(1, [sys.executable, "-c", SLEEPER], (null.fileno(), null.fileno()))
        while not heard:
            await asyncio.sleep(0.01)
        stopping = threading.Thread(target=tenure.at_risk)
        stopping.start()
        wait_until(lambda: is_gone(job[0]))
        assert select.select([tenure.guardian.socket], [], [], 10)[0]
        stopping.join()
        while "ended" not in heard:
            await asyncio.sleep(0.01)
        await tenure.end()

    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(be_busy())
    assert heard == ["started", "at risk", "ended"]


@pytest.fixture
def guardian(tmp_path: Path) -> Iterator[Guardianship]:
    lock = LifeLock(tmp_path / "locks", "node")
    guardian = Guardianship(lock.fd)
    yield guardian
    guardian.end()
    lock.release()


def hear(guardian: Guardianship, what: str, seconds: float = 10.0) -> dict:
    heard: list[dict] = []
    deadline = time.monotonic() + seconds
    while not any(message["is"] == what for message in heard):
        left = deadline - time.monotonic()
        assert left > 0, f"no {what!r}, only {heard}"
        select.select([guardian.socket], [], [], left)
        guardian.receive(heard.append)
    return next(message for message in heard if message["is"] == what)


def start(guardian: Guardianship, run: int, program: str) -> int:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    read, write = os.pipe()
    guardian.start(run, [sys.executable, "-c", program], (theirs.fileno(), write))
    ours.close()
    theirs.close()
    os.close(write)
    return read


def test_a_disarmed_guardian_refuses_to_start(guardian):
    os.close(start(guardian, 1, "pass"))
    assert hear(guardian, "refused")["run"] == 1


def test_a_guardian_refuses_to_start_after_its_deadline(guardian):
    guardian.arm(boot_time() - 0.001, 0)
    os.close(start(guardian, 1, "pass"))
    assert "lease" in hear(guardian, "refused")["reason"]


def test_an_ending_tells_exit_code_signal_and_peak_memory(guardian):
    guardian.arm(boot_time() + 60, 0)
    os.close(start(guardian, 1, "raise SystemExit(7)"))
    assert hear(guardian, "ended")["code"] == 7
    os.close(start(guardian, 2, "import os; os.kill(os.getpid(), 9)"))
    ended = hear(guardian, "ended")
    assert ended["code"] == -9
    assert ended["peak_kib"] > 1000


def test_an_ending_is_told_only_when_what_the_job_started_is_gone(guardian, tmp_path):
    note = tmp_path / "grandchild"
    guardian.arm(boot_time() + 60, 0)
    os.close(start(guardian, 1, f"PATH = {str(note)!r}\n{ABANDONER}"))
    grandchild = int(wait_until(lambda: note.exists() and note.read_text()))
    guardian.kill(1)
    hear(guardian, "ended")
    assert is_gone(grandchild)


def test_a_job_gets_a_session_of_its_own_and_no_descriptor_of_its_node(guardian):
    guardian.arm(boot_time() + 60, 0)
    program = "import os; print(os.getpid() == os.getsid(0), sorted(map(int, os.listdir('/proc/self/fd'))))"
    read = start(guardian, 1, program)
    hear(guardian, "ended")
    own_session, descriptors = os.read(read, 1000).decode().split(" ", 1)
    os.close(read)
    assert own_session == "True"
    # stdin, stdout, stderr, the channel, the lock, and the folder that is being listed.
    assert json.loads(descriptors) == [0, 1, 2, 3, 4, 5]


def test_where_memory_ends_the_kernel_takes_a_job_before_its_node(guardian):
    guardian.arm(boot_time() + 60, 0)
    read = start(
        guardian, 1, "for kind in ('oom_score', 'oom_score_adj'): print(open(f'/proc/self/{kind}').read())"
    )
    hear(guardian, "ended")
    score, adjustment = (int(word) for word in os.read(read, 100).split())
    os.close(read)
    assert score > int(Path("/proc/self/oom_score").read_text()), "the kernel's own order, highest first"
    assert adjustment == min(1000, int(Path("/proc/self/oom_score_adj").read_text()) + 500)


def test_a_job_that_outlasts_its_deadline_is_killed_with_the_reason_and_no_other_job_is(guardian):
    guardian.arm(boot_time() + 60, 0)
    os.close(start(guardian, 1, SLEEPER))
    os.close(start(guardian, 2, SLEEPER))
    guardian.limit(1, boot_time() + 600, "timed_out", in_loop=False)
    guardian.limit(2, boot_time() + 600, "timed_out", in_loop=False)
    guardian.limit(1, boot_time() + 0.5, "cancelled", in_loop=False)
    ended = hear(guardian, "ended")
    assert (ended["run"], ended["code"], ended["why"]) == (1, -9, "cancelled")
    guardian.unlimit(2)
    guardian.kill(2)
    assert hear(guardian, "ended")["why"] is None


def test_a_deadline_of_a_job_that_is_gone_ends_nobody(guardian):
    guardian.arm(boot_time() + 60, 0)
    os.close(start(guardian, 1, "pass"))
    hear(guardian, "ended")
    guardian.limit(1, boot_time(), "timed_out", in_loop=False)
    os.close(start(guardian, 2, "raise SystemExit(7)"))
    ended = hear(guardian, "ended")
    assert (ended["run"], ended["code"], ended["why"]) == (2, 7, None)


def test_ending_the_guardian_ends_and_reaps_everything(tmp_path):
    lock = LifeLock(tmp_path / "locks", "node")
    guardian = Guardianship(lock.fd)
    guardian.arm(boot_time() + 60, 0)
    os.close(start(guardian, 1, SLEEPER))
    pid = hear(guardian, "started")["pid"]
    guardian.end()
    assert is_gone(pid)
    lock.release()
    assert is_proven_dead(lock.identity)


def test_a_child_that_was_there_before_the_guardian_outlives_it(tmp_path):
    bystander = subprocess.Popen([sys.executable, "-c", SLEEPER])
    lock = LifeLock(tmp_path / "locks", "node")
    guardian = Guardianship(lock.fd)
    guardian.end()
    lock.release()
    assert bystander.poll() is None
    bystander.kill()
    bystander.wait()
