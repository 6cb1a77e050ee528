"""`ringfence top`, `tasks`, `run`, `pause`, `resume`, `cancel` on a service that runs."""

import json
import os
import re
import signal
import subprocess
from typing import Any

import pytest
import yaml
from service import Service, until
from terminal import read_until, start_in_terminal

LONG = {"function": "server.jobs.pi:estimate_pi", "every": "1h", "params": {"minimum_seconds": 60}}


@pytest.fixture
def running(service: Service) -> Service:
    """A service with one task that waits, and one that runs for a minute."""
    settings = yaml.safe_load((service.folder / "config.yaml").read_text())
    settings["cluster"]["settle"] = "50ms"
    settings["tasks"] = {"waiting": LONG | {"first": "scheduled"}, "working": LONG}
    (service.folder / "config.yaml").write_text(yaml.safe_dump(settings))
    service.start()
    until(lambda: task(service, "working")["running"], "the task runs")
    return service


def task(service: Service, name: str) -> dict[str, Any]:
    return service.get(f"/tasks/{name}")[1]


def test_tasks_shows_plain_lines_where_nobody_watches(running: Service) -> None:
    done = running.run("tasks")
    assert done.returncode == 0, done.stderr
    heading, waiting, working = done.stdout.splitlines()
    run = task(running, "working")["running"]
    assert heading.split()[:2] == ["name", "owner"]
    assert re.match(r"waiting .* in (1h|59m|58m) ", waiting), waiting
    assert working.startswith("working") and f"{run['node']} #{run['runId']}" in working
    assert "\x1b" not in done.stdout


def test_tasks_as_json_is_what_the_api_answers_and_any_instance_will_do(running: Service) -> None:
    for url in (f"http://127.0.0.1:{running.port}", f"http://127.0.0.1:{running.port + 2}/"):
        done = running.run("tasks", "--json", "--url", url)
        assert [one["name"] for one in json.loads(done.stdout)["tasks"]] == ["waiting", "working"]


def test_operators_commands_act_and_a_refusal_is_told_with_exit_code_1(running: Service) -> None:
    run = task(running, "working")["running"]
    refused = running.run("run", "working")
    assert (refused.returncode, refused.stderr) == (1, "ringfence: Task working is running already.\n")

    paused = running.run("pause", "working")
    assert paused.stdout == f"working is paused; run {run['runId']} on {run['node']} goes on.\n"
    assert task(running, "working")["paused"]
    assert json.loads(running.run("resume", "working", "--json").stdout)["paused"] is False

    assert running.run("run", "waiting").returncode == 0
    until(lambda: task(running, "waiting")["running"], "it runs out of turn")

    cancelled = running.run("cancel", str(run["runId"]))
    assert cancelled.stdout == f"Run {run['runId']} of working is being stopped on {run['node']}.\n"
    until(lambda: running.get(f"/runs/{run['runId']}")[1]["status"] == "cancelled", "it is cancelled")
    again = running.run("cancel", str(run["runId"]))
    assert (again.returncode, again.stderr) == (1, f"ringfence: Run {run['runId']} has ended.\n")
    for unknown in (["pause", "no such task/?"], ["resume", "nobody"], ["cancel", "99999"]):
        done = running.run(*unknown)
        assert done.returncode == 1
        assert done.stderr.startswith("ringfence: There is no ")


def test_doctor_finds_no_fault_in_a_service_that_runs_and_sees_that_the_ports_are_its_own(
    running: Service,
) -> None:
    done = running.run("doctor")
    assert done.returncode == 0, done.stdout
    assert "3 are served by the `ringfence up` that runs" in done.stdout
    assert "no fault" in done.stdout


def test_where_nothing_runs_it_says_so(service: Service) -> None:
    done = service.run("tasks")
    assert done.returncode == 1
    assert f"Nothing listens at http://127.0.0.1:{service.port}" in done.stderr
    assert service.run("tasks", "--url", "nonsense").returncode == 1


def test_watch_outlives_every_instance_and_ends_by_ctrl_c_with_exit_code_0(running: Service) -> None:
    running.environment |= {"COLUMNS": "200", "LINES": "30"}
    pid, terminal = start_in_terminal(running, *running.argv, "tasks", "--watch")
    try:
        read_until(terminal, "working")
        running.control("stop", "node:*")
        read_until(terminal, "No news: ")
        running.control("start", "node:*")
        until(running.is_ready, "the instances are back")
        assert running.run("pause", "waiting").returncode == 0
        read_until(terminal, "paused")
        os.write(terminal, b"\x03")
        read_until(terminal, "an end that is never shown")
        _, status = os.waitpid(pid, 0)
    finally:
        os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 0


def events_of_lines(running: Service) -> set[str]:
    """What `top --json` tells of events until it has told of some, one object a second."""
    argv = [*running.argv, "top", "--json"]
    with subprocess.Popen(
        argv, cwd=running.folder, env=running.environment, stdout=subprocess.PIPE, text=True
    ) as following:
        assert following.stdout is not None
        found = set[str]()
        while not found:
            line = json.loads(following.stdout.readline())
            assert [one["name"] for one in line["nodes"]] == ["node-1", "node-2"]
            found |= {one["event"] for one in line["events"]}
        following.kill()
    return found


def test_top_shows_nodes_tasks_and_events_outlives_its_instance_and_obeys_keys(running: Service) -> None:
    url = f"http://127.0.0.1:{running.port}"
    plain = running.run("top", "--once", "--url", url)
    assert plain.returncode == 0, plain.stderr
    run = task(running, "working")["running"]
    assert re.search(r"^node-1 +live +\d+\.\d s ", plain.stdout, re.MULTILINE), plain.stdout
    assert f"started     working #{run['runId']} on {run['node']}: schedule" in plain.stdout
    found = json.loads(running.run("top", "--once", "--json").stdout)
    assert [one["name"] for one in found["nodes"]] == ["node-1", "node-2"]
    assert [one["name"] for one in found["tasks"]] == ["waiting", "working"]
    assert "started" in {one["event"] for one in found["events"]}
    assert "started" in events_of_lines(running)

    running.environment |= {"COLUMNS": "80", "LINES": "24"}
    pid, terminal = start_in_terminal(running, *running.argv, "top", "--url", url)
    try:
        serving = re.findall(r"events by (node-\d)", read_until(terminal, "events by node-"))
        node = (serving or re.findall(r"^node-\d", read_until(terminal, "\n")))[-1]
        os.kill(running.pid_of(node), signal.SIGKILL)
        read_until(terminal, f"lost the connection to {node}")
        read_until(terminal, "connected again")
        until(running.is_ready, "the instance is back")
        assert running.run("pause", "waiting").returncode == 0
        read_until(terminal, "paused      waiting")
        os.write(terminal, b"/worki")
        read_until(terminal, "/worki_")
        os.write(terminal, b"\rp")
        read_until(terminal, "PAUSED")
        os.write(terminal, b"q")
        read_until(terminal, "an end that is never shown")
        _, status = os.waitpid(pid, 0)
    finally:
        os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 0
