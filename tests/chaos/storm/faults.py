"""The faults themselves: each breaks one thing, mends it again, and tells what it measured.

All times are CLOCK_MONOTONIC. A fault returns when what it broke is there again, except
for the work that is left to the cluster; a fact `failed` says that it did not take.
"""

import contextlib
import os
import signal
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable
from subprocess import PIPE, Popen
from sys import executable
from typing import Any

from fleet import is_alive, wait_until

from storm import thread_stop
from storm.plan import ALL, Fault
from storm.stage import Stage

Facts = dict[str, Any]
POLL_SECONDS = 0.01
JOB_SECONDS_MAX = 10.0  # until a node has a job
IDLE_CHANCE = 0.15  # of the nodes to be hit without looking whether they do anything


def node_killed(stage: Stage, fault: Fault) -> Facts:
    """SIGKILL, and started again after a while; its guardian ends what it ran."""
    _await_work(stage, fault)
    incarnation = stage.incarnation(fault.node)
    with stage.held(fault.node) as process:
        killed_at = time.monotonic()
        process.kill()
        process.wait()
        _rest(fault.hold_seconds)
    stage.wait_for_members(fault.node, beyond=incarnation or 0)
    return {"killed_at": killed_at, "incarnation": incarnation}


def child_killed(stage: Stage, fault: Fault) -> Facts:
    """SIGKILL of one job's process."""
    jobs = _jobs(stage, fault.node)
    if not jobs:
        return {"pid": None}
    pid = jobs[int(fault.chance * len(jobs))]
    _signal([pid], signal.SIGKILL)
    wait_until(lambda: not is_alive(pid), 5, "the job is gone")
    return {"pid": pid}


def node_frozen(stage: Stage, fault: Fault) -> Facts:
    """SIGSTOP for longer than the lease; with a run on it, its guardian kills it where it stands."""
    _await_work(stage, fault)
    incarnation = stage.incarnation(fault.node)
    with stage.held(fault.node) as process:
        frozen_at = time.monotonic()
        process.send_signal(signal.SIGSTOP)
        while time.monotonic() < frozen_at + fault.hold_seconds and process.poll() is None:
            _rest(POLL_SECONDS)
        dead_after = time.monotonic() - frozen_at if process.poll() is not None else None
        process.send_signal(signal.SIGCONT)
    stage.wait_for_members(fault.node, beyond=incarnation or 0)
    return {"incarnation": incarnation, "node_frozen_at": frozen_at, "dead_after_seconds": dead_after}


def everything_frozen(stage: Stage, fault: Fault) -> Facts:
    """SIGSTOP of a node, its guardian and its jobs, as if the machine had been suspended, and SIGCONT."""
    _await_work(stage, fault)
    incarnation = stage.incarnation(fault.node)
    with stage.held(fault.node) as process:
        guardian = stage.guardian(fault.node)
        assert guardian is not None, "a node that holds a run has a guardian"
        frozen_at = time.monotonic()
        _signal([process.pid, guardian], signal.SIGSTOP)
        jobs = stage.jobs(fault.node)
        _signal(jobs, signal.SIGSTOP)
        # Also those whose process has not come to its first line.
        runs = stage.postgres.rows(
            "select id from runs where incarnation = %s and status = 'running'", incarnation
        )
        _rest(frozen_at + fault.hold_seconds - time.monotonic())
        thawed_at = time.monotonic()
        _signal(jobs, signal.SIGCONT)
        if fault.variant == "guardian wakes half a second late":
            # Time for the jobs to try a guarded write, which no luck with the scheduler would give them.
            _rest(0.5)
        _signal([guardian, process.pid], signal.SIGCONT)
        wait_until(lambda: not any(is_alive(pid) for pid in jobs), 10, "the jobs' end after the thaw")
    stage.wait_for_members(fault.node, beyond=incarnation or 0)
    frozen = {"frozen_runs": [row["id"] for row in runs], "frozen_at": frozen_at, "thawed_at": thawed_at}
    return frozen | {"incarnation": incarnation}


def loop_blocked(stage: Stage, fault: Fault) -> Facts:
    """The event loop stands still for longer than the lease; all other threads go on."""
    _await_work(stage, fault)
    incarnation = stage.incarnation(fault.node)
    argv = [executable, "-I", "-S", thread_stop.__file__, str(stage.pid(fault.node)), str(fault.hold_seconds)]
    with Popen(argv, stdout=PIPE, stderr=PIPE, text=True) as blocker:
        assert blocker.stdout is not None and blocker.stderr is not None
        if not blocker.stdout.readline():
            return {"failed": blocker.stderr.read().strip()}
        answered = _answers(stage, fault.node)
    lease_kept = stage.incarnation(fault.node) == incarnation
    wait_until(lambda: _answers(stage, fault.node), 20, "the loop turns again")
    return {"lease_kept": lease_kept, "incarnation": incarnation} | (
        {"failed": "it answered all the same"} if answered else {}
    )


def partition(stage: Stage, fault: Fault) -> Facts:
    """No packet to or from the database for longer than the lease, and no reset."""
    _await_work(stage, fault)
    node, incarnation = f"node-{fault.node}", stage.incarnation(fault.node)
    cut_at = time.monotonic()
    stage.network.cut(fault.node, fault.variant)
    try:
        _rest(1.0)  # what was under way has arrived, or never will
        lease_ended_at = stage.postgres.lease_ends_at(node)
        wait_until(lambda: time.monotonic() >= lease_ended_at, fault.hold_seconds + 30, "the lease's end")
        jobs = len(stage.jobs(fault.node))
        _rest(cut_at + fault.hold_seconds - time.monotonic())
    finally:
        healed_at = time.monotonic()
        stage.network.heal(fault.node)
    stage.wait_for_members(fault.node, beyond=incarnation or 0)
    return {"lease_ended_at": lease_ended_at, "jobs_at_the_end": jobs, "healed_at": healed_at}


def connections_cut(stage: Stage, fault: Fault) -> Facts:
    """pg_terminate_backend for every connection of a node, or of all, their jobs' included."""
    name = "ringfence %" if fault.node == ALL else f"ringfence node-{fault.node}%"
    ended = stage.postgres.rows(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name like %s", name
    )
    return {"connections": len(ended)} | ({} if ended else {"failed": "there were no connections"})


def listener_lost(stage: Stage, fault: Fault) -> Facts:
    """The LISTEN connection of a node is ended; or it goes on and says nothing any more."""
    name = f"ringfence node-{fault.node} listener"
    found = stage.postgres.rows("select pid from pg_stat_activity where application_name = %s", name)
    for pid in (row["pid"] for row in found):
        if fault.variant == "terminated":
            stage.postgres.rows("select pg_terminate_backend(%s)", pid)
            continue
        # Its kernel goes on to acknowledge what arrives: half open, the kind that nobody notices.
        os.kill(pid, signal.SIGSTOP)
        _rest(fault.hold_seconds)
        os.kill(pid, signal.SIGCONT)
    return {"connections": len(found)}


def postgres_restarted(stage: Stage, fault: Fault) -> Facts:
    """Stopped and started at once; immediate: without a clean end, so it recovers."""
    return _away(stage, 0.0, immediate=fault.variant == "immediate")


def database_away(stage: Stage, fault: Fault) -> Facts:
    """Stopped, and started after a while."""
    return _away(stage, fault.hold_seconds)


def _away(stage: Stage, seconds: float, *, immediate: bool = False) -> Facts:
    stopped_at = time.monotonic()
    stage.postgres.stop(immediate=immediate)
    _rest(stopped_at + seconds - time.monotonic())
    stage.postgres.start()
    return {"away_seconds": time.monotonic() - stopped_at}


def rolling_restart(stage: Stage, fault: Fault) -> Facts:
    """What `ringfence restart` does: each drains, ends, is started and awaited; then the next."""
    stops = []
    for number in list(stage.numbers)[: 3 if fault.variant == "three nodes" else None]:
        incarnation = stage.incarnation(number)
        with stage.held(number) as process:
            asked_at = time.monotonic()
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)
        stage.wait_for_members(number, beyond=incarnation or 0)
        stops.append({"node": f"node-{number}", "asked_at": asked_at, "back_at": time.monotonic()})
    return {"stops": stops}


KINDS: dict[str, Callable[[Stage, Fault], Facts]] = {
    function.__name__: function
    for function in (
        node_killed, child_killed, node_frozen, everything_frozen, loop_blocked, partition,
        connections_cut, listener_lost, postgres_restarted, database_away, rolling_restart,
    )
}  # fmt: skip


def _await_work(stage: Stage, fault: Fault) -> None:
    """Until the node has a job; now and then it is hit as it is."""
    if fault.chance >= IDLE_CHANCE:
        _jobs(stage, fault.node)


def _jobs(stage: Stage, number: int) -> list[int]:
    deadline = time.monotonic() + JOB_SECONDS_MAX
    while not (jobs := stage.jobs(number)) and time.monotonic() < deadline:
        _rest(POLL_SECONDS)
    return jobs


def _answers(stage: Stage, number: int) -> bool:
    url = f"http://{stage.network.host(number)}:{stage.port + number}/healthz"
    with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=1):
        return True
    return False


def _signal(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _rest(seconds: float) -> None:
    threading.Event().wait(max(0.0, seconds))
