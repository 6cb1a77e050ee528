"""Coroutines in the event loop of real nodes: what they may do, and what ends a node."""

import os
import signal
import time
from itertools import pairwise

import pytest
from fleet import TTL_SECONDS, is_alive, overlaps, wait_until

from server.cluster import hard_stops

BLOCK_SECONDS = 9  # longer than the lease


def block_when_all_work(fleet, workers: int) -> None:
    at_work = {f"worker-{number}" for number in range(workers)}
    wait_until(lambda: at_work <= {line["task"] for line in fleet.testimony()}, 30, "all at work")
    wait_until(lambda: "job" in fleet.running(), 30, "the job in the loop")
    fleet.witness.with_name(fleet.witness.name + ".go").touch()
    wait_until(lambda: fleet.told_by("job", "start"), 10, "the block")


def number_of(node: str) -> int:
    return int(node.removeprefix("node-"))


def test_a_loop_job_runs_in_its_nodes_process_and_its_run_is_like_any_other(nodes):
    fleet = nodes(1, "works_in_the_loop", params={"seconds": 1.5})
    running = wait_until(lambda: (r := fleet.running().get("job")) and r["progress"] and r, 20, "progress")
    assert running["progress"] == {"done": 1, "total": 2, "message": "in the loop"}
    run = fleet.ended()
    pid = fleet.processes[1].pid
    assert (run["status"], run["result"], run["attempt"]) == ("succeeded", {"pid": pid}, 1)
    assert fleet.get(f"/runs/{run['id']}")["output"] == f"working in the loop of {pid}\n"


def test_no_run_changes_the_params_of_the_next(fleet):
    job = {"function": "witness:spoils_its_params", "every": "1h", "isolation": "loop"}
    made = fleet({"job": job | {"params": {"list_of": ["a"]}}})
    made.start(1)
    made.wait_ready()
    first = made.ended()
    made.post("/tasks/job/run")
    second = wait_until(
        lambda: (r := made.runs(status="succeeded")) and len(r) == 2 and r[0], 20, "a second run"
    )
    assert (first["result"], second["result"]) == (["a", first["id"]], ["a", second["id"]])


@pytest.mark.parametrize("way", ["cancel", "timeout"])
def test_a_loop_job_that_listens_is_stopped_within_two_seconds_and_its_node_goes_on(nodes, way):
    settings = {"timeout": "2s"} if way == "timeout" else {}
    fleet = nodes(1, "works_in_the_loop", params={"seconds": 60}, **settings)
    wait_until(lambda: fleet.told_by("job"), 20, "a run at work")
    asked_at = time.monotonic()
    if way == "cancel":
        fleet.post(f"/runs/{fleet.running()['job']['runId']}/cancel")
    run = fleet.ended()
    assert run["status"] == ("cancelled" if way == "cancel" else "timed_out")
    assert time.monotonic() - asked_at < (2 if way == "cancel" else 4)
    seen = len(fleet.testimony())
    assert fleet.processes[1].poll() is None
    fleet.get("/tasks")
    assert len(fleet.testimony()) == seen, "the task that it had started is gone as well"


def test_a_block_longer_than_the_lease_costs_neither_the_lease_nor_the_work_of_others(nodes):
    fleet = nodes(2, "blocks_when_told", workers=4, params={"seconds": BLOCK_SECONDS}, timeout="1m")
    block_when_all_work(fleet, 4)
    began = wait_until(lambda: fleet.told_by("job", "start"), 30, "the block")[0]
    blocked = number_of(began["node"])
    other = 3 - blocked
    members = {node["name"]: node["incarnation"] for node in fleet.get("/nodes", other)["nodes"]}
    wait_until(
        lambda: f"run={began['run']}" in fleet.log(blocked) and "blocks the event loop" in fleet.log(blocked),
        BLOCK_SECONDS - 2,
        "the name of the culprit in the log",
    )
    assert not fleet.told_by("job", "end"), "it is named while it blocks"
    ended = wait_until(lambda: fleet.told_by("job", "end"), BLOCK_SECONDS + 10, "the end of the block")[0]
    run = fleet.ended(task="job")
    assert (run["status"], run["result"]) == ("succeeded", "at last")

    after = {node["name"]: (node["incarnation"], node["state"]) for node in fleet.get("/nodes")["nodes"]}
    assert after == {name: (incarnation, "live") for name, incarnation in members.items()}
    assert all(process.poll() is None for process in fleet.processes.values())
    assert {run["status"] for run in fleet.runs()} == {"running", "succeeded"}, "no run was lost for it"
    for node in members:
        during = [
            line["at"]
            for line in fleet.testimony()
            if line["node"] == node and line["task"] != "job" and began["at"] < line["at"] < ended["at"]
        ]
        gaps = [later - earlier for earlier, later in pairwise(during)]
        assert len(during) > 20, node
        assert max(gaps) < 2, "processes went on, on the blocked node, too"
    log = fleet.log(blocked)
    assert log.count("blocks the event loop") == 1
    assert "task=job" in log
    assert "time.sleep(0.05)" in log or "testify(path, context" in log
    wait_until(lambda: "the event loop goes on" in fleet.log(blocked), 10, "the word that it goes on")


@pytest.mark.parametrize("way", ["cancel", "timeout"])
def test_on_a_node_whose_loop_is_blocked_a_process_still_ends_in_time(nodes, way):
    """Nobody can ask it to; the guardian ends it all the same."""
    fleet = nodes(
        1,
        "blocks_when_told",
        params={"seconds": 12},
        workers=1,
        worker_timeout="3s" if way == "timeout" else "1h",
    )
    block_when_all_work(fleet, 1)
    worker = fleet.told_by("worker-0")[0]
    if way == "cancel":
        with fleet.database.connect() as connection:
            connection.execute("select cancel_run(%s)", [worker["run"]])
    asked_at = time.monotonic()
    wait_until(lambda: not is_alive(worker["pid"]), 10, "the end of the process")
    assert time.monotonic() - asked_at < (3 if way == "cancel" else 6)
    assert not fleet.told_by("job", "end"), "the loop was blocked all the time"
    wait_until(lambda: fleet.told_by("job", "end"), 20, "the end of the block")
    run = fleet.ended(task="worker-0")
    assert run["status"] == ("cancelled" if way == "cancel" else "timed_out")


def its_node_is_killed_and_the_task_runs_elsewhere(fleet, count: int = 2) -> dict:
    began = wait_until(lambda: fleet.told_by("job", "start"), 30, "a run at work")[0]
    victim = number_of(began["node"])
    pid = fleet.processes[victim].pid
    workers = [line for line in fleet.testimony() if line["node"] == began["node"] and line["pid"] != pid]
    assert fleet.wait_for_end(victim, 20) == -signal.SIGKILL
    wait_until(lambda: not any(is_alive(line["pid"]) for line in workers), 10, "the end of its processes")
    fleet.start(victim)
    fleet.wait_ready()
    assert len(fleet.get("/nodes")["nodes"]) == count
    return began


@pytest.mark.parametrize("function", ["blocks_once", "holds_the_gil_once"])
def test_a_loop_job_that_blocks_past_its_timeout_ends_its_node_and_runs_elsewhere(nodes, function):
    fleet = nodes(2, function, workers=2, timeout="2s")
    first = its_node_is_killed_and_the_task_runs_elsewhere(fleet)
    wait_until(lambda: fleet.told_by("job", "end"), 30, "the run elsewhere")
    lost = fleet.get(f"/runs/{first['run']}")
    assert lost["status"] == "lost"
    assert fleet.get(f"/runs/{lost['successor']}")["trigger"] == "lost"
    assert lost["durationSeconds"] < 2 + 1 + 3, "its timeout, its grace, and the proof of death"
    assert overlaps(fleet.testimony()) == []
    traces = fleet.folder / "var" / "log" / f"{first['node']}.traces"
    assert f"in {function}" in traces.read_text(), "the guardian asked for the stacks before"


def test_a_loop_job_that_ignores_its_timeout_ends_its_node_and_runs_elsewhere(nodes):
    fleet = nodes(2, "deaf_once", workers=2, timeout="2s")
    first = its_node_is_killed_and_the_task_runs_elsewhere(fleet)
    wait_until(lambda: fleet.told_by("job", "end"), 30, "the run elsewhere")
    assert fleet.get(f"/runs/{first['run']}")["status"] == "lost"
    assert overlaps(fleet.testimony()) == []
    log = fleet.log(number_of(first["node"]))
    assert "a job in the loop does not stop" in log


@pytest.mark.parametrize("function", ["deaf_once", "blocks_once"])
def test_a_loop_job_that_ignores_a_cancel_or_cannot_hear_it_ends_its_node(nodes, function):
    fleet = nodes(2, function, timeout="10m")
    began = wait_until(lambda: fleet.told_by("job", "start"), 30, "a run at work")[0]
    other = 3 - number_of(began["node"])
    asked_at = time.monotonic()
    fleet.post(f"/runs/{began['run']}/cancel", other)
    assert fleet.wait_for_end(number_of(began["node"]), 20) == -signal.SIGKILL
    assert time.monotonic() - asked_at < 5, "a heartbeat, the grace, and a busy machine"
    stops = hard_stops.path_in(fleet.folder / "var" / "run" / "locks", began["node"])
    wait_until(lambda: hard_stops.read(stops) == {"lease": 0, "loop": 1}, 10, "the guardian's word")
    wait_until(lambda: fleet.get(f"/runs/{began['run']}")["status"] == "cancelled", 15, "the ending")
    assert fleet.running() == {}, "what an operator cancelled does not come back by itself"
    assert overlaps(fleet.testimony()) == []


def test_a_loop_job_is_interrupted_by_a_stop_and_runs_elsewhere(nodes):
    fleet = nodes(2, "works_in_the_loop", params={"seconds": 60})
    began = wait_until(lambda: fleet.told_by("job", "start"), 30, "a run at work")[0]
    number = number_of(began["node"])
    fleet.signal(number, signal.SIGINT)
    assert fleet.wait_for_end(number) == 0
    assert fleet.get(f"/runs/{began['run']}")["status"] == "interrupted"
    wait_until(lambda: "job" in fleet.running(), 20, "the run elsewhere")
    assert overlaps(fleet.testimony()) == []


def test_a_frozen_node_is_killed_for_the_job_in_its_loop_before_its_lease_ends(nodes):
    fleet = nodes(2, "works_in_the_loop", params={"seconds": 60})
    began = wait_until(lambda: fleet.told_by("job", "start"), 30, "a run at work")[0]
    number = number_of(began["node"])
    fleet.signal(number, signal.SIGSTOP)
    assert fleet.wait_for_end(number, TTL_SECONDS + 5) == -signal.SIGKILL
    wait_until(lambda: "job" in fleet.running(), 20, "the run elsewhere")
    assert overlaps(fleet.testimony()) == []


def test_a_job_in_the_loop_stops_when_the_guardian_dies_and_starts_again_under_the_next(nodes):
    fleet = nodes(1, "works_in_the_loop", params={"seconds": 60})
    began = wait_until(lambda: fleet.told_by("job", "start"), 30, "a run at work")[0]
    os.kill(fleet.guardian_of(1), signal.SIGKILL)
    wait_until(lambda: fleet.get(f"/runs/{began['run']}")["status"] == "interrupted", 15, "its end")
    wait_until(lambda: len(fleet.told_by("job", "start")) == 2, 15, "another run")
    assert fleet.processes[1].poll() is None
    assert overlaps(fleet.testimony()) == []


def test_a_process_that_a_job_in_the_loop_starts_ends_with_it(nodes):
    fleet = nodes(1, "starts_a_process")
    fleet.ended()
    event = fleet.testimony()[0]["event"]
    assert not is_alive(int(event.removeprefix("process ")))
    assert "has left a process" in fleet.log(1)


def test_a_plain_function_in_the_loop_ends_the_start_with_the_name_of_its_task(fleet):
    made = fleet({"job": {"function": "witness:work", "every": "1h", "isolation": "loop"}})
    made.start(1)
    assert made.wait_for_end(1, 30) == 2, "a configuration that can't be used; supervisord leaves it at that"
    assert "tasks.job: isolation: loop needs a coroutine, and witness:work is a plain function" in made.log(1)
