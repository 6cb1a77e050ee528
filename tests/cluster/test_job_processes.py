"""What a job may do to itself, and what its node makes of it."""

import os
import signal

import pytest
from fleet import is_alive, wait_until

from server.cron.schedule import retry_delay_seconds

PAUSES = """
select r.predecessor_id,
       extract(epoch from r.scheduled_for - p.finished_at)::float8,
       extract(epoch from r.started_at - p.finished_at)::float8
  from runs as r
  join runs as p on p.id = r.predecessor_id
 order by r.id"""

HEARD = """
select extract(epoch from finished_at - cancel_requested_at)::float8
  from runs
 where id = %s"""


def path(tmp_path) -> dict:
    return {"path": str(tmp_path / "witness.jsonl")}


@pytest.mark.parametrize("function", ["work", "work_async"])
def test_a_job_may_be_a_function_or_a_coroutine_and_its_result_is_kept(one_node, tmp_path, function):
    fleet = one_node(function, params=path(tmp_path) | {"seconds": 0.3})
    run = fleet.ended()
    assert (run["status"], run["result"], run["attempt"]) == ("succeeded", {"seconds": 0.3}, 1)
    assert run["durationSeconds"] >= 0.3


def test_what_a_job_printed_is_kept_with_its_run(one_node, tmp_path):
    fleet = one_node("work", params=path(tmp_path) | {"seconds": 0.1})
    assert fleet.get(f"/runs/{fleet.ended()['id']}")["output"] == "worked 0.1\n"


def test_of_much_output_the_last_64_kib_are_kept(one_node):
    fleet = one_node("prints_much")
    output = fleet.get(f"/runs/{fleet.ended()['id']}")["output"]
    assert output.endswith("line 19999\n")
    assert 60_000 < len(output) <= 65_536


def test_a_failed_run_has_the_traceback_and_what_it_printed(one_node):
    run = one_node("fails").ended()
    assert run["status"] == "failed"
    assert "RuntimeError: this job always fails" in run["error"]
    assert "witness.py" in run["error"]


def test_retries_come_after_pauses_that_double_each_with_a_jitter_of_its_own(one_node, database):
    fleet = one_node("fails", retries=3, retry_after="400ms")
    wait_until(lambda: len(fleet.runs(status="failed")) == 4, 40, "three retries")
    runs = sorted(fleet.runs(), key=lambda run: run["id"])
    assert [(run["attempt"], run["trigger"]) for run in runs] == [
        (1, "schedule"),
        (2, "retry"),
        (3, "retry"),
        (4, "retry"),
    ]
    assert [run["predecessor"] for run in runs[1:]] == [run["id"] for run in runs[:-1]]
    with database.connect() as connection:
        pauses = connection.execute(PAUSES).fetchall()
    for attempt, (before, pause, waited) in enumerate(pauses, 1):
        full = 0.4 * 2 ** (attempt - 1)
        assert full / 2 <= pause < full
        assert abs(pause - retry_delay_seconds(attempt, 0.4, 600, str(before))) < 0.001
        assert waited >= pause


def test_a_job_that_dies_by_a_signal_says_so_in_its_run(one_node):
    run = one_node("dies").ended()
    assert run["status"] == "failed"
    assert "SIGKILL" in run["error"]


def test_a_result_that_the_database_cannot_hold_fails_the_run_with_the_reason(one_node):
    run = one_node("returns_nul").ended()
    assert run["status"] == "failed"
    assert "NUL" in run["error"]


def test_a_job_that_leaks_memory_ends_at_its_limit_and_harms_nobody(one_node):
    fleet = one_node("leaks", memory_max="96MiB")
    run = fleet.ended()
    assert run["status"] == "failed"
    assert "MemoryError" in run["error"]
    assert run["error"].splitlines()[-1] == "the job's process reached its memory_max of 96 MiB"
    assert fleet.processes[1].poll() is None
    assert {run["status"] for run in fleet.runs()} == {"failed"}


def test_jobs_that_leak_or_die_harm_no_other_run_on_their_node(fleet, tmp_path):
    witness = tmp_path / "witness.jsonl"
    witness.touch()
    bad = {"every": "1h", "retries": 2, "retry_after": "200ms"}
    made = fleet(
        {
            "leaks": bad | {"function": "witness:leaks", "memory_max": "96MiB"},
            "dies": bad | {"function": "witness:dies"},
            "works": {
                "function": "witness:work",
                "every": "1h",
                "params": {"path": str(witness), "seconds": 8},
            },
        }
    )
    made.start(1)
    made.wait_ready()
    assert made.ended(task="works")["status"] == "succeeded"
    wait_until(lambda: len(made.runs(status="failed")) == 6, 30, "three failures of each")
    assert len(made.runs()) == 7, "no run was lost or interrupted"
    assert made.processes[1].poll() is None


def test_a_job_that_is_killed_for_its_memory_says_how_much_it_had(one_node):
    run = one_node("is_killed_with_memory").ended()
    assert run["status"] == "failed"
    assert "SIGKILL" in run["error"]
    reached = int(run["error"].rpartition("reached ")[2].split()[0])
    assert 64 <= reached < 1000


def test_what_a_job_says_wrongly_of_its_progress_is_its_own_failure(one_node):
    run = one_node("reports_nonsense").ended()
    assert run["status"] == "failed"
    assert "progress is told in finite numbers, not nan" in run["error"]
    assert run["progress"] == {"done": 1, "total": 2, "message": "half\N{REPLACEMENT CHARACTER}way"}


@pytest.mark.parametrize("function", ["work", "work_async"])
def test_a_timeout_reaches_a_job_that_listens_within_two_seconds(one_node, tmp_path, function):
    fleet = one_node(function, params=path(tmp_path) | {"seconds": 60}, timeout="1s")
    run = fleet.ended()
    assert (run["status"], run["error"]) == ("timed_out", "ran longer than its timeout")
    assert 1 <= run["durationSeconds"] < 3


@pytest.mark.parametrize("function", ["work", "work_async"])
def test_a_cancel_by_the_api_reaches_a_job_that_listens_within_two_seconds(
    one_node, tmp_path, database, function
):
    fleet = one_node(function, params=path(tmp_path) | {"seconds": 60})
    wait_until(fleet.testimony, 20, "a run at work")
    run_id = fleet.running()["job"]["runId"]
    assert fleet.post(f"/runs/{run_id}/cancel") == 202
    run = fleet.ended()
    assert (run["id"], run["status"], run["error"]) == (run_id, "cancelled", "cancelled by an operator")
    with database.connect() as connection:
        assert connection.execute(HEARD, [run_id]).fetchone()[0] < 2


def test_a_cancel_kills_a_deaf_job_after_it_was_asked_and_all_that_it_started(one_node, tmp_path, database):
    fleet = one_node("deaf_with_a_child", params=path(tmp_path))
    started = wait_until(lambda: len(fleet.testimony()) >= 2 and fleet.testimony(), 20, "both at work")
    run_id = fleet.running()["job"]["runId"]
    fleet.post(f"/runs/{run_id}/cancel")
    assert fleet.ended()["status"] == "cancelled"
    assert not any(is_alive(line["pid"]) for line in started), "whoever is recorded as ended is gone"
    with database.connect() as connection:
        seconds = connection.execute(HEARD, [run_id]).fetchone()[0]
    assert 1 <= seconds < 3, "asked first, then killed"


def test_a_deaf_job_is_killed_after_its_timeout(one_node, tmp_path):
    fleet = one_node("deaf", params=path(tmp_path), timeout="1s")
    run = fleet.ended()
    assert run["status"] == "timed_out"
    assert run["durationSeconds"] < 6
    pid = fleet.testimony()[0]["pid"]
    assert not is_alive(pid)


def test_what_a_job_abandons_ends_with_it(one_node, tmp_path):
    fleet = one_node("leaves_children", params=path(tmp_path))
    fleet.ended()
    for line in fleet.testimony():
        assert not is_alive(line["pid"])


def test_a_cancel_in_psql_reaches_the_job_and_is_no_failure(one_node, tmp_path, database):
    fleet = one_node("work", params=path(tmp_path) | {"seconds": 60})
    run = wait_until(lambda: fleet.running().get("job"), 20, "a run")
    with database.connect() as connection:
        assert connection.execute("select cancel_run(%s)", [run["runId"]]).fetchone() == ("requested",)
    finished = fleet.ended()
    assert (finished["status"], finished["id"]) == ("cancelled", run["runId"])


def test_a_killed_child_harms_nobody_else(one_node, tmp_path):
    fleet = one_node("work", params=path(tmp_path) | {"seconds": 60})
    run = wait_until(lambda: next(iter(fleet.testimony()), None), 20, "a run")
    os.kill(run["pid"], signal.SIGKILL)
    assert fleet.ended()["status"] == "failed"
    assert fleet.processes[1].poll() is None


def test_a_job_whose_process_cannot_be_started_fails_with_the_reason_and_is_not_tried_in_a_circle(
    fleet, tmp_path
):
    made = fleet({"job": {"function": "witness:fails", "every": "1h"}})
    scratch = made.folder / "var" / "run" / "scratch"
    scratch.parent.mkdir(parents=True)
    scratch.touch()
    made.start(1)
    made.wait_ready()
    run = made.ended()
    assert run["status"] == "failed"
    assert "could not be started" in run["error"]
    assert str(scratch) in run["error"]
    assert made.get("/tasks/job")["running"] is None
    assert len(made.runs()) == 1
