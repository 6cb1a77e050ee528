"""`ringfence restart` and `scale` while tasks run all the time: no request, no run and no tick is lost."""

import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from crowd import Crowd
from fleet import overlaps
from service import Service, product_environment, service_settings, until

PERIOD = timedelta(seconds=4)
WORK_SECONDS = {f"short-{n}": 0.1 for n in range(3)} | {f"long-{n}": 2.5 for n in range(6)}
SECONDS_MAX = 240.0


@pytest.fixture
def service(tmp_path: Path, project: Path) -> Iterator[Service]:
    """Three instances with ports for nine, and nine tasks that are due all the time and keep every tick."""
    settings = service_settings(9)
    settings["cluster"] |= {"instances": 3, "drain_seconds": 30, "settle": "500ms"}
    witness = tmp_path / "witness.jsonl"
    witness.touch()
    settings["tasks"] = {
        name: {
            "function": "witness:work",
            "every": PERIOD.total_seconds(),
            "missed": "all",
            "params": {"path": str(witness), "seconds": seconds},
        }
        for name, seconds in WORK_SECONDS.items()
    }
    environment = product_environment(project)
    environment["PYTHONPATH"] += os.pathsep + str(Path(__file__).parent)
    one = Service(tmp_path, [sys.executable, "-m", "server"], settings, environment)
    yield one
    one.clean_up()


def all_runs(service: Service) -> list[dict[str, Any]]:
    """The whole history, the oldest first."""
    runs, path = [], "/runs?limit=1000"
    while True:
        page = service.get(path)[1]
        runs += page["runs"]
        if page["next"] is None:
            return runs[::-1]
        path = f"/runs?limit=1000&cursor={page['next']}"


def members(service: Service) -> dict[str, int]:
    """The incarnations of those that live."""
    nodes = service.get("/nodes")[1]["nodes"]
    return {node["name"]: node["incarnation"] for node in nodes if node["state"] == "live"}


def owners(service: Service) -> dict[str, str]:
    """Whose each task is."""
    return {task["name"]: task["owner"] for task in service.get("/tasks")[1]["tasks"]}


def last_starts(service: Service) -> dict[str, str]:
    """Where the newest run of each task began."""
    return {run["task"]: run["node"] for run in all_runs(service)}


def wait_for_starts(service: Service) -> None:
    """Until each task has begun a further run."""
    newest = all_runs(service)[-1]["id"]
    until(
        lambda: {run["task"] for run in all_runs(service) if run["id"] > newest} == set(WORK_SECONDS),
        "a further run of each task",
    )


def assert_nothing_was_lost(service: Service) -> None:
    """By the history and by the witness: every tick has one run, which ran once, and ended or still runs."""
    runs = all_runs(service)
    assert {run["status"] for run in runs} <= {"succeeded", "running"}
    assert {run["trigger"] for run in runs} == {"schedule"}
    for task in WORK_SECONDS:
        ticks = [datetime.fromisoformat(run["scheduledFor"]) for run in runs if run["task"] == task]
        assert {later - earlier for earlier, later in pairwise(ticks)} == {PERIOD}, task
    assert {task["skippedTicks"] for task in service.get("/tasks")[1]["tasks"]} == {0}
    testimony = [json.loads(line) for line in (service.folder / "witness.jsonl").read_text().splitlines()]
    assert set(Counter(line["run"] for line in testimony if line["event"] == "start").values()) == {1}
    assert overlaps(testimony) == []


def test_a_rolling_restart_under_load_loses_no_request_no_run_and_no_tick_and_none_runs_twice(
    service: Service,
) -> None:
    service.start()
    until(lambda: len({run["task"] for run in all_runs(service)}) == len(WORK_SECONDS), "all tasks have run")
    before = members(service)
    with Crowd(service, threads=2) as crowd:
        done = service.run("restart", seconds_max=SECONDS_MAX)
    assert done.returncode == 0, done.stderr
    assert crowd.failed == []
    assert set(crowd.succeeded) == {200}
    after = members(service)
    assert all(after[name] > incarnation for name, incarnation in before.items())
    wait_for_starts(service)
    assert_nothing_was_lost(service)


def test_scale_9_and_back_to_3_loses_and_moves_no_run_and_the_spread_is_even_each_time(
    service: Service,
) -> None:
    service.start()
    until(lambda: len({run["task"] for run in all_runs(service)}) == len(WORK_SECONDS), "all tasks have run")
    for number in (9, 3):
        done = service.run("scale", str(number), seconds_max=SECONDS_MAX)
        assert done.returncode == 0, done.stdout + done.stderr
        until(lambda number=number: len(members(service)) == number, f"{number} members")
        even = [len(WORK_SECONDS) // number] * number
        until(lambda even=even: list(Counter(owners(service).values()).values()) == even, "an even share")
        wait_for_starts(service)
        until(lambda: last_starts(service) == owners(service), "each begins where it belongs")
    assert_nothing_was_lost(service)


def test_a_changed_drain_reaches_supervisord_with_the_next_restart(service: Service) -> None:
    config = service.folder / "config.yaml"
    service.start()
    config.write_text(config.read_text().replace("drain_seconds: 30", "drain_seconds: 45"))
    # An instance that dies before that drains as long as supervisord waits.
    os.kill(service.pid_of("node-1"), signal.SIGKILL)
    log = service.folder / "var/log/node-1.log"
    until(lambda: "run `ringfence restart`" in log.read_text(), "it says what to do")
    until(service.is_ready, "it serves all the same")
    assert service.run("restart", seconds_max=SECONDS_MAX).returncode == 0
    assert log.read_text().count("run `ringfence restart`") == 1
    assert "stopwaitsecs=55\n" in (service.folder / "var/run/supervisord.conf").read_text()


def test_a_supervisord_that_would_cut_a_drain_short_gets_no_instance_and_is_told_why(
    service: Service, project: Path
) -> None:
    text = (project / "supervisord.conf").read_text().replace(":8000", f":{service.port}")
    text = re.sub(r"\[program:postgres\].*?(?=\[fcgi-program)", "", text, flags=re.DOTALL)
    (service.folder / "supervisord.conf").write_text(text.replace("numprocs=6", "numprocs=1"))
    for folder in ("var/log", "var/run", ".venv/bin"):
        (service.folder / folder).mkdir(parents=True)
    script = service.folder / ".venv/bin/ringfence"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m server "$@"\n')
    script.chmod(0o755)
    argv = [sys.executable, "-m", "supervisor.supervisord", "-n", "-c", "supervisord.conf"]
    supervisord = subprocess.Popen(
        argv, cwd=service.folder, env=service.environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    log, said = service.folder / "var/log/node-1.log", service.folder / "var/log/supervisord.log"
    try:
        until(lambda: log.exists() and "ringfence: " in log.read_text(), "it says why")
        until(lambda: "(exit status 2;" in said.read_text(), "it has ended")
    finally:
        supervisord.terminate()
        assert supervisord.wait(timeout=20) == 0
    assert "supervisord kills this node 30 s after" in log.read_text()
    assert "stopwaitsecs=40 or more" in log.read_text()
