"""Six real nodes: spread, no overlap, takeover, coming and going. Real processes, real signals."""

import json
import os
import shutil
import signal
import subprocess
import time
import urllib.error
from itertools import chain

import pytest
from fleet import children, is_alive, overlaps, wait_until

SIX = (1, 2, 3, 4, 5, 6)


def tasks(fleet_folder_path: str, count: int, **settings) -> dict:
    every = settings.pop("every", "1h")
    function = settings.pop("function", "witness:work")
    params = {"path": fleet_folder_path} | settings.pop("params", {})
    return {
        f"task-{number:02}": {"function": function, "every": every, "params": params} | settings
        for number in range(count)
    }


@pytest.fixture
def ten_tasks(fleet, tmp_path):
    """A fleet with ten tasks that take some seconds, not started yet."""

    def make(count: int = 10, cluster: dict | None = None, **settings):
        witness = tmp_path / "witness.jsonl"
        witness.touch()
        made = fleet(tasks(str(witness), count, **settings), **(cluster or {}))
        made.witness = witness
        return made

    return make


def all_running(fleet, count: int = 10):
    return wait_until(lambda: len(fleet.running()) == count, 30, f"{count} runs at once")


@pytest.mark.parametrize("attempt", range(3))
def test_six_nodes_that_start_at_one_moment_share_the_first_ten_runs_evenly(ten_tasks, attempt):
    # Started by hand, so nobody tells them that they are six; a busy machine starts them over seconds.
    fleet = ten_tasks(params={"seconds": 8}, cluster={"settle": 4})
    fleet.start(*SIX)
    fleet.wait_ready()
    all_running(fleet)
    assert sorted(fleet.spread().values()) == [1, 1, 2, 2, 2, 2]
    owners = {task["name"]: task["owner"] for task in fleet.get("/tasks")["tasks"]}
    assert {name: run["node"] for name, run in fleet.running().items()} == owners


def test_no_task_overlaps_itself_while_nodes_are_killed_and_come_back(ten_tasks):
    fleet = ten_tasks(params={"seconds": 1.5}, every="2s")
    fleet.start(*SIX)
    fleet.wait_ready()
    all_running(fleet)
    for victim in (1, 4, 6):
        seen = len(fleet.testimony())
        fleet.signal(victim, signal.SIGKILL)
        fleet.wait_for_end(victim)
        fleet.start(victim)
        wait_until(lambda seen=seen: len(fleet.testimony()) > seen + 150, 40, "work going on")
        fleet.wait_ready()
    testimony = fleet.testimony()
    assert overlaps(testimony) == []
    assert len({line["run"] for line in testimony}) > 15


def test_a_killed_node_is_found_dead_and_its_runs_start_elsewhere_within_seconds(ten_tasks):
    fleet = ten_tasks(params={"seconds": 30}, cluster={"ttl": 30})
    fleet.start(*SIX)
    fleet.wait_ready()
    all_running(fleet)
    victims = {name: run["runId"] for name, run in fleet.running().items() if run["node"] == "node-2"}
    assert victims
    fleet.signal(2, signal.SIGKILL)
    fleet.wait_for_end(2)

    # Far below the lease of 30 s: the lock that its processes held is the proof.
    def taken_over() -> bool:
        running = fleet.running()
        return all(name in running and running[name]["node"] != "node-2" for name in victims)

    wait_until(taken_over, 10, "takeover")
    for name, run_id in victims.items():
        lost = fleet.get(f"/runs/{run_id}")
        assert lost["status"] == "lost"
        assert "node-2 died" in lost["error"]
        successor = fleet.running()[name]["runId"]
        assert lost["successor"] == successor
        assert fleet.get(f"/runs/{successor}")["predecessor"] == run_id
        assert fleet.get(f"/runs/{successor}")["trigger"] == "lost"
    owners = {task["owner"] for task in fleet.get("/tasks")["tasks"]}
    assert "node-2" not in owners
    assert {node["name"]: node["state"] for node in fleet.get("/nodes")["nodes"]}.get("node-2") in {
        None,
        "dead",
    }
    assert overlaps(fleet.testimony()) == []


def test_without_a_proof_of_death_the_lease_decides(ten_tasks):
    fleet = ten_tasks(4, params={"seconds": 30}, cluster={"proof_of_death": False})
    fleet.start(1, 2)
    fleet.wait_ready()
    all_running(fleet, 4)
    # A node must have watched the database's clock for one ttl before it may sweep.
    fleet.signal(1, signal.SIGKILL)
    fleet.wait_for_end(1)
    wait_until(lambda: fleet.spread() == {"node-2": 4}, 30, "takeover after the lease")
    assert {run["status"] for run in fleet.runs(node="node-1")} == {"lost"}
    assert overlaps(fleet.testimony()) == []


def test_a_frozen_node_loses_its_runs_before_others_start_them(ten_tasks):
    fleet = ten_tasks(6, params={"seconds": 40})
    fleet.start(1, 2, 3)
    fleet.wait_ready()
    all_running(fleet, 6)
    frozen = fleet.processes[2]
    guardian = fleet.guardian_of(2)
    fleet.signal(2, signal.SIGSTOP)
    wait_until(lambda: not is_alive(frozen.pid), 15, "the guardian's hard stop")
    wait_until(lambda: not is_alive(guardian), 10, "the guardian's own end")
    fleet.wait_for_end(2)
    wait_until(lambda: len(fleet.running()) == 6 and "node-2" not in fleet.spread(), 20, "takeover")
    assert overlaps(fleet.testimony()) == []


def test_when_a_guardian_is_killed_its_node_lives_on_with_another(ten_tasks):
    fleet = ten_tasks(2, params={"seconds": 40})
    fleet.start(1)
    fleet.wait_ready()
    all_running(fleet, 2)
    before = {run["runId"] for run in fleet.running().values()}
    guardian = fleet.guardian_of(1)
    os.kill(guardian, signal.SIGKILL)
    wait_until(
        lambda: len(fleet.running()) == 2 and not before & {run["runId"] for run in fleet.running().values()},
        20,
        "the runs again under another guardian",
    )
    assert fleet.processes[1].poll() is None
    assert fleet.guardian_of(1) != guardian
    assert {fleet.get(f"/runs/{run}")["status"] for run in before} == {"interrupted"}
    assert overlaps(fleet.testimony()) == []


def test_a_frozen_guardian_is_noticed_and_replaced(ten_tasks):
    fleet = ten_tasks(1, params={"seconds": 40})
    fleet.start(1)
    fleet.wait_ready()
    all_running(fleet, 1)
    guardian = fleet.guardian_of(1)
    os.kill(guardian, signal.SIGSTOP)
    wait_until(lambda: not is_alive(guardian), 15, "its replacement")
    all_running(fleet, 1)
    assert fleet.processes[1].poll() is None
    assert overlaps(fleet.testimony()) == []


def test_sigterm_lets_runs_finish_and_starts_no_new_ones(ten_tasks):
    fleet = ten_tasks(4, params={"seconds": 3})
    fleet.start(1, 2)
    fleet.wait_ready()
    all_running(fleet, 4)
    held = [run["runId"] for run in fleet.running().values() if run["node"] == "node-2"]
    fleet.signal(2, signal.SIGTERM)
    assert fleet.wait_for_end(2) == 0
    assert [fleet.get(f"/runs/{run}")["status"] for run in held] == ["succeeded"] * len(held)
    assert [node["name"] for node in fleet.get("/nodes")["nodes"]] == ["node-1"]


def test_a_run_longer_than_the_drain_is_interrupted_and_starts_elsewhere(ten_tasks):
    fleet = ten_tasks(4, params={"seconds": 30}, cluster={"drain_seconds": 1})
    fleet.start(1, 2)
    fleet.wait_ready()
    all_running(fleet, 4)
    held = {name: run["runId"] for name, run in fleet.running().items() if run["node"] == "node-2"}
    fleet.signal(2, signal.SIGTERM)
    assert fleet.wait_for_end(2) == 0
    wait_until(lambda: fleet.spread() == {"node-1": 4}, 10, "the runs elsewhere")
    for name, run_id in held.items():
        ended = fleet.get(f"/runs/{run_id}")
        assert (ended["status"], ended["successor"]) == ("interrupted", fleet.running()[name]["runId"])
    assert overlaps(fleet.testimony()) == []


def test_sigint_stops_within_seconds_and_leaves_no_process(ten_tasks):
    fleet = ten_tasks(2, function="witness:deaf", params={"seconds": 60})
    fleet.start(1)
    fleet.wait_ready()
    all_running(fleet, 2)
    guardian = fleet.guardian_of(1)
    jobs = children(guardian)
    began = time.monotonic()
    fleet.signal(1, signal.SIGINT)
    assert fleet.wait_for_end(1) == 0
    assert time.monotonic() - began < 6
    assert not any(is_alive(pid) for pid in [guardian, *jobs])


def test_a_second_node_of_the_same_name_ends_with_a_clear_error(ten_tasks, fleet):
    first = ten_tasks(1)
    first.start(1)
    first.wait_ready()
    second = fleet({})
    second.start(1)
    # The one exit code after which supervisord does not start it again.
    assert second.processes[1].wait(timeout=30) == 2
    assert "node-1 is in use" in second.log(1)
    assert first.processes[1].poll() is None


def test_a_restarted_node_takes_its_name_at_once_when_the_old_one_is_proven_dead(ten_tasks):
    fleet = ten_tasks(1, params={"seconds": 60}, cluster={"ttl": 60})
    fleet.start(1)
    fleet.wait_ready()
    all_running(fleet, 1)
    before = fleet.running()["task-00"]["runId"]
    fleet.signal(1, signal.SIGKILL)
    fleet.wait_for_end(1)
    fleet.start(1)
    fleet.wait_ready()
    successor = wait_until(lambda: fleet.get(f"/runs/{before}")["successor"], 30, "a run that took over")
    assert fleet.running()["task-00"]["runId"] == successor
    scratch = fleet.folder / "var" / "run" / "scratch"
    wait_until(lambda: [found.name for found in scratch.iterdir()] == [f"node-1-{successor}"], 30, "a folder")
    assert overlaps(fleet.testimony()) == []


def test_every_node_tells_the_same_truth_and_time_goes_on(ten_tasks):
    fleet = ten_tasks(4, params={"seconds": 30})
    fleet.start(1, 2, 3)
    fleet.wait_ready()
    all_running(fleet, 4)

    def told(node: int) -> list:
        answer = fleet.get("/tasks", node)["tasks"]
        for task in answer:
            for moving in ("elapsedSeconds", "progress"):
                task["running"].pop(moving)
        return answer

    assert told(1) == told(2) == told(3)
    first = fleet.get("/tasks/task-00")["running"]["elapsedSeconds"]
    second = wait_until(
        lambda: (now := fleet.get("/tasks/task-00")["running"]["elapsedSeconds"]) > first and now, 5, "time"
    )
    assert second > first
    assert (
        wait_until(lambda: fleet.get("/tasks/task-00")["running"]["progress"], 5, "progress")["total"] == 30
    )
    nodes = fleet.get("/nodes")["nodes"]
    assert {node["state"] for node in nodes} == {"live"}
    assert sorted(chain.from_iterable(node["owns"] for node in nodes)) == [f"task-{n:02}" for n in range(4)]
    assert sorted(chain.from_iterable(node["runs"] for node in nodes)) == sorted(
        r["runId"] for r in fleet.running().values()
    )


def test_psql_hears_of_every_start_and_ending(ten_tasks, database):
    psql = shutil.which("psql")
    assert psql, "PostgreSQL's psql is on every machine that runs the tests"
    # Like a person at a terminal: psql shows what has come whenever it gets another command.
    listener = subprocess.Popen(
        [psql, "--no-psqlrc", "--quiet", database.application_url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    listener.stdin.write("listen task_events; listen node_events;\n\\echo listening\n")
    listener.stdin.flush()
    assert listener.stdout.readline().strip() == "listening"
    fleet = ten_tasks(2, params={"seconds": 0.5})
    fleet.start(1)
    fleet.wait_ready()
    wait_until(lambda: len(fleet.runs(status="succeeded")) == 2, 20, "two runs")
    out, _ = listener.communicate("select 1;\n", timeout=20)
    lines = [line for line in out.splitlines() if line.startswith("Asynchronous notification")]
    payloads = [json.loads(line[line.index("{") : line.rindex("}") + 1]) for line in lines]
    joined = [p for p in payloads if p["event"] == "joined"]
    assert [p["node"] for p in joined] == ["node-1"]
    told = [p for p in payloads if "task" in p]
    assert {(p["event"], p["task"]) for p in told} == {
        (event, task) for event in ("started", "succeeded") for task in ("task-00", "task-01")
    }
    for payload in told:
        assert set(payload) == {"id", "event", "task", "run", "node", "at", "detail"}
        assert payload["node"] == "node-1"
        assert payload["at"].endswith("Z")
    assert [p["id"] for p in payloads] == sorted(p["id"] for p in payloads)


def test_a_tick_during_a_run_is_skipped_and_recorded(ten_tasks, database):
    fleet = ten_tasks(1, params={"seconds": 5}, every="1s")
    fleet.start(1)
    fleet.wait_ready()
    with database.connect() as connection:
        reason = wait_until(
            lambda: connection.execute("select detail from events where event = 'skipped'").fetchone(),
            20,
            "a skip",
        )
    assert reason == ("still running",)


def test_an_unreachable_task_fails_its_run_and_names_the_reason(fleet):
    made = fleet({"missing": {"function": "nowhere.at_all:job", "every": "1h"}})
    made.start(1)
    made.wait_ready()
    run = wait_until(lambda: made.runs(status="failed"), 20, "a failed run")[0]
    assert "No module named 'nowhere'" in run["error"]


def test_the_public_port_answers_404_for_a_task_that_is_not_there(ten_tasks):
    fleet = ten_tasks(1)
    fleet.start(1)
    fleet.wait_ready()
    with pytest.raises(urllib.error.HTTPError) as caught:
        fleet.get("/tasks/nothing")
    with caught.value as answer:
        assert answer.code == 404
        assert json.load(answer)["code"] == "task_not_found"
