"""What a job may do to itself, and what its node makes of it."""

import os
import signal

import pytest
from fleet import is_alive, wait_until


@pytest.fixture
def one_node(fleet, tmp_path):
    """Starts one node with one task; returns the fleet."""

    def start(function: str, **settings):
        witness = tmp_path / "witness.jsonl"
        witness.touch()
        params = settings.pop("params", {})
        made = fleet({"job": {"function": f"witness:{function}", "every": "1h", "params": params} | settings})
        made.witness = witness
        made.start(1)
        made.wait_ready()
        return made

    return start


def ended(fleet, **filters):
    return wait_until(
        lambda: next((run for run in fleet.runs(**filters) if run["status"] != "running"), None),
        30,
        "an ending",
    )


def path(tmp_path) -> dict:
    return {"path": str(tmp_path / "witness.jsonl")}


@pytest.mark.parametrize("function", ["work", "work_async"])
def test_a_job_may_be_a_function_or_a_coroutine_and_its_result_is_kept(one_node, tmp_path, function):
    fleet = one_node(function, params=path(tmp_path) | {"seconds": 0.3})
    run = ended(fleet)
    assert (run["status"], run["result"], run["attempt"]) == ("succeeded", {"seconds": 0.3}, 1)
    assert run["durationSeconds"] >= 0.3


def test_what_a_job_printed_is_kept_with_its_run(one_node, tmp_path):
    fleet = one_node("work", params=path(tmp_path) | {"seconds": 0.1})
    assert fleet.get(f"/runs/{ended(fleet)['id']}")["output"] == "worked 0.1\n"


def test_of_much_output_the_last_64_kib_are_kept(one_node):
    fleet = one_node("prints_much")
    output = fleet.get(f"/runs/{ended(fleet)['id']}")["output"]
    assert output.endswith("line 19999\n")
    assert 60_000 < len(output) <= 65_536


def test_a_failed_run_has_the_traceback_and_is_retried(one_node):
    fleet = one_node("fails", retries=1)
    run = ended(fleet, status="failed")
    assert "RuntimeError: this job always fails" in run["error"]
    retried = wait_until(lambda: next((r for r in fleet.runs() if r["attempt"] == 2), None), 30, "the retry")
    assert (retried["trigger"], retried["predecessor"]) == ("retry", run["id"])


def test_a_job_that_dies_by_a_signal_says_so_in_its_run(one_node):
    run = ended(one_node("dies"))
    assert run["status"] == "failed"
    assert "SIGKILL" in run["error"]


def test_a_result_that_the_database_cannot_hold_fails_the_run_with_the_reason(one_node):
    run = ended(one_node("returns_nul"))
    assert run["status"] == "failed"
    assert "NUL" in run["error"]


def test_a_deaf_job_is_killed_after_its_timeout(one_node, tmp_path):
    fleet = one_node("deaf", params=path(tmp_path), timeout="1s")
    run = ended(fleet)
    assert run["status"] == "timed_out"
    assert run["durationSeconds"] < 6
    pid = fleet.testimony()[0]["pid"]
    assert not is_alive(pid)


def test_what_a_job_abandons_ends_with_it(one_node, tmp_path):
    fleet = one_node("leaves_children", params=path(tmp_path))
    ended(fleet)
    for line in fleet.testimony():
        assert not is_alive(line["pid"])


def test_a_cancel_reaches_the_job_and_is_no_failure(one_node, tmp_path, database):
    fleet = one_node("work", params=path(tmp_path) | {"seconds": 60})
    run = wait_until(lambda: fleet.running().get("job"), 20, "a run")
    with database.connect() as connection:
        assert connection.execute("select cancel_run(%s)", [run["runId"]]).fetchone() == ("requested",)
    finished = ended(fleet)
    assert (finished["status"], finished["id"]) == ("cancelled", run["runId"])


def test_a_killed_child_harms_nobody_else(one_node, tmp_path):
    fleet = one_node("work", params=path(tmp_path) | {"seconds": 60})
    run = wait_until(lambda: next(iter(fleet.testimony()), None), 20, "a run")
    os.kill(run["pid"], signal.SIGKILL)
    assert ended(fleet)["status"] == "failed"
    assert fleet.processes[1].poll() is None


def test_a_progress_that_nothing_can_hold_costs_neither_the_run_nor_later_reports(one_node):
    fleet = one_node("reports_badly")
    run = ended(fleet)
    assert (run["status"], run["result"]) == ("succeeded", "done")
    assert run["progress"] == {"done": 1, "total": 2, "message": "a\N{REPLACEMENT CHARACTER}b\\ud800"}


def test_a_job_whose_process_cannot_be_started_fails_with_the_reason_and_is_not_tried_in_a_circle(
    fleet, tmp_path
):
    made = fleet({"job": {"function": "witness:fails", "every": "1h"}})
    scratch = made.folder / "var" / "run" / "scratch"
    scratch.parent.mkdir(parents=True)
    scratch.touch()
    made.start(1)
    made.wait_ready()
    run = ended(made)
    assert run["status"] == "failed"
    assert "could not be started" in run["error"]
    assert str(scratch) in run["error"]
    assert made.get("/tasks/job")["running"] is None
    assert len(made.runs()) == 1
