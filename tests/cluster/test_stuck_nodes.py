"""Nodes that live and do not do what they should: a blocked loop, a held GIL, a log that nobody reads."""

import fcntl
import os
import signal
import time
from collections.abc import Iterator

import pytest
from fleet import children, is_alive, overlaps, wait_until

from server.cluster import hard_stops
from server.cluster.lease import boot_time

TTL_SECONDS = 6  # of a fleet's leases
PIPE_BYTES = 4096


@pytest.fixture
def full_pipe() -> Iterator[int]:
    """The writing end of a pipe that is full and that nobody reads."""
    read, write = os.pipe()
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    os.set_blocking(write, False)
    with pytest.raises(BlockingIOError):
        while True:
            os.write(write, bytes(PIPE_BYTES))
    os.set_blocking(write, True)
    yield write
    os.close(write)
    os.close(read)


def all_tick_after(fleet, moment: float, runs: int) -> bool:
    """Whether so many jobs were seen at work after that."""
    last = {line["run"]: line["at"] for line in fleet.testimony()}
    return len(last) == runs and min(last.values()) > moment


def test_a_loop_that_is_blocked_for_longer_than_a_lease_costs_neither_the_lease_nor_a_run(workers, running):
    fleet = workers(4, seconds=18, settle=4)
    fleet.program = "faulty"
    fleet.start(1, 2)
    fleet.wait_ready()
    before = wait_until(lambda: len(found := running()) == 4 and found, 30, "four runs")
    assert {node for _, node in before.values()} == {"node-1", "node-2"}
    blocked_at = boot_time()
    fleet.signal(1, signal.SIGHUP)
    wait_until(lambda: all_tick_after(fleet, blocked_at + TTL_SECONDS + 1, 4), 30, "work going on")
    assert running() == before
    runs = [run for run, _ in before.values()]
    wait_until(lambda: not running(), 30, "their ends")
    assert {fleet.get(f"/runs/{run}")["status"] for run in runs} == {"succeeded"}
    assert {line["run"] for line in fleet.testimony()} == set(runs)


@pytest.mark.parametrize("nobody_reads", [False, True])
def test_a_node_whose_gil_is_held_in_c_is_killed_with_its_jobs_and_leaves_its_stacks(
    workers, running, full_pipe, nobody_reads
):
    fleet = workers(4, seconds=60, settle=4)
    fleet.program = "faulty"
    fleet.start(1)
    if nobody_reads:
        fleet.output = full_pipe
    fleet.start(2)
    fleet.wait_ready()
    wait_until(lambda: [node for _, node in running().values()].count("node-2") == 2, 30, "runs on node 2")
    jobs = wait_until(lambda: len(found := children(fleet.guardian_of(2))) == 2 and found, 10, "its jobs")
    fleet.signal(2, signal.SIGUSR1)
    assert fleet.wait_for_end(2, 15) == -signal.SIGKILL
    wait_until(lambda: not any(map(is_alive, jobs)), 5, "the end of its jobs")
    traces = (fleet.folder / "var" / "log" / "node-2.traces").read_text()
    assert "in seize_the_gil" in traces
    stops = hard_stops.path_in(fleet.folder / "var" / "run" / "locks", "node-2")
    wait_until(lambda: hard_stops.read(stops) == {"lease": 1, "loop": 0}, 10, "the guardian's word")
    wait_until(lambda: [node for _, node in running().values()] == ["node-1"] * 4, 20, "takeover")
    assert overlaps(fleet.testimony()) == []


def test_a_log_that_nobody_reads_holds_up_neither_lease_nor_runs_nor_requests_nor_the_end(
    workers, running, full_pipe
):
    fleet = workers(2, seconds=TTL_SECONDS + 3)
    fleet.output = full_pipe
    fleet.start(1)
    fleet.wait_ready()
    before = wait_until(lambda: len(found := running()) == 2 and found, 30, "two runs")
    wait_until(lambda: not running(), 30, "their ends")
    assert {fleet.get(f"/runs/{run}")["status"] for run, _ in before.values()} == {"succeeded"}
    fleet.signal(1, signal.SIGTERM)
    assert fleet.wait_for_end(1) == 0


def test_a_node_whose_scheduler_fails_ends_instead_of_looking_healthy(workers, running):
    fleet = workers(1, seconds=1)
    fleet.program = "faulty"
    fleet.start(1)
    fleet.wait_ready()
    wait_until(running, 30, "a run")
    fleet.signal(1, signal.SIGWINCH)
    assert fleet.wait_for_end(1, 30) == 1
    assert "nobody foresaw this" in fleet.log(1)
    assert running() == {}


def test_heartbeats_go_on_while_a_node_drains_for_longer_than_its_lease(workers, running):
    fleet = workers(2, seconds=TTL_SECONDS + 10, drain_seconds=25)
    fleet.start(1)
    fleet.wait_ready()
    before = wait_until(lambda: len(found := running()) == 2 and found, 30, "two runs")
    fleet.start(2)
    fleet.wait_ready()
    fleet.signal(1, signal.SIGTERM)
    began = time.monotonic()
    assert fleet.wait_for_end(1, 40) == 0
    assert time.monotonic() - began > TTL_SECONDS, "the drain was no test of the lease"
    runs = [run for run, _ in before.values()]
    assert {fleet.get(f"/runs/{run}")["status"] for run in runs} == {"succeeded"}
    assert {line["run"] for line in fleet.testimony()} == set(runs)
