"""`ringfence up`: from nothing to a service that answers, and back to nothing."""

import contextlib
import json
import os
import signal
import socket
import sys
import time
from collections import Counter
from pathlib import Path

import psycopg
import pytest
import yaml
from service import READY, Service, processes_of, until
from terminal import read_until, start_in_terminal
from wire import Wire

from server.postgres.embedded import EmbeddedServer


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_in_a_terminal_stops_everything_within_seconds(service: Service, times: int) -> None:
    pid, terminal = start_in_terminal(service, *service.argv, "up")
    try:
        read_until(terminal, "Ctrl-C")
        assert service.is_ready()
        pressed = time.monotonic()
        for _ in range(times):
            os.write(terminal, b"\x03")
            read_until(terminal, "Stopping")
        shown = read_until(terminal, "an end that is never shown")
        took = time.monotonic() - pressed
        _, status = os.waitpid(pid, 0)
    finally:
        os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 0, shown
    assert took < 10
    assert service.left() == {}


def test_it_says_where_it_serves_and_how_to_use_it(service: Service) -> None:
    service.start()
    until(lambda: "Ctrl-C" in service.said(), "it has said all")
    said = service.said()
    assert f"http://127.0.0.1:{service.port}" in said
    for how in ("curl -s", "/withdraw", "db psql", "var/log", "Ctrl-C"):
        assert how in said
    assert "\x1b" not in said, "no escapes where nobody watches"


def test_sigterm_stops_everything_gently_with_exit_code_0(service: Service) -> None:
    service.start()
    service.signal(signal.SIGTERM)
    assert service.end() == 0
    assert service.left() == {}
    log = (service.folder / "var/log/postgres.log").read_text()
    assert "received fast shutdown request" in log
    assert "database system is shut down" in log


def test_a_stop_during_the_start_leaves_nothing(service: Service) -> None:
    service.begin()
    until((service.folder / "var/run/supervisord.pid").exists, "supervisord runs")
    service.signal(signal.SIGINT)
    assert service.end() == 0
    assert READY not in service.said()
    assert service.left() == {}


def test_a_second_one_says_that_it_runs_already(service: Service) -> None:
    service.start()
    assert service.process is not None
    second = service.run("up")
    assert second.returncode == 1
    assert "runs already" in second.stderr
    assert f"http://127.0.0.1:{service.port}" in second.stderr
    assert f"pid {service.process.pid}" in second.stderr
    assert service.is_ready()


def test_a_taken_port_is_named_with_its_holder_and_its_setting(service: Service) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", service.port + 2))
        holder.listen()
        failed = service.run("up")
    assert failed.returncode == 1
    assert (
        f"port {service.port + 2} (node-2's own, http.port + 2) is taken by pid {os.getpid()}"
        in failed.stderr
    )
    assert "http.port in" in failed.stderr
    assert service.left() == {}


def test_after_a_kill_of_everything_the_next_start_recovers(service: Service) -> None:
    service.start()
    with psycopg.connect(EmbeddedServer(service.folder / "var").owner_url) as connection:
        connection.execute("create table kept as select 42 as answer")
    victims = service.left()
    assert len(victims) > 2 + service.instances
    for pid in victims:
        with contextlib.suppress(ProcessLookupError):  # it died of another one's death
            os.kill(pid, signal.SIGKILL)
    service.end()
    service.start()
    assert service.is_ready()
    with psycopg.connect(EmbeddedServer(service.folder / "var").owner_url) as connection:
        assert connection.execute("select answer from kept").fetchone() == (42,)


def test_when_up_alone_is_killed_all_the_rest_ends_by_itself(service: Service) -> None:
    service.start()
    service.signal(signal.SIGKILL)
    service.end()
    until(lambda: service.left() == {}, "everything has ended")


def test_it_starts_again_while_the_rest_of_a_killed_one_is_still_ending(service: Service) -> None:
    service.start()
    service.signal(signal.SIGKILL)
    service.end()
    service.start()
    assert service.is_ready()


def test_when_supervisord_is_killed_it_stops_the_rest_and_says_so(service: Service) -> None:
    service.start()
    os.kill(service.pid_of("supervisord"), signal.SIGKILL)
    assert service.end() == 1
    assert "supervisord ended by itself" in service.said()
    assert service.left() == {}


@pytest.mark.parametrize("program", ["node-1", "postgres"])
def test_a_killed_program_is_started_again(service: Service, program: str) -> None:
    service.start()
    until(lambda: service.pid_of(program), f"{program} runs")
    pid = service.pid_of(program)
    os.kill(pid, signal.SIGKILL)
    until(lambda: service.pid_of(program) not in {0, pid}, f"{program} runs again")
    until(service.is_ready, "all are ready")


def test_a_killed_database_serves_again_within_five_seconds(service: Service) -> None:
    service.start()
    body = json.dumps({"userId": 1, "amount": 1})
    assert service.post("/withdraw", body)[1]["balance"] == 9_999
    pid = service.pid_of("postgres")
    os.kill(pid, signal.SIGKILL)
    killed = time.monotonic()
    # Sent while there is no database: it waits for it, and is answered once it is back.
    assert service.post("/withdraw", body)[1]["balance"] == 9_998
    until(service.is_ready, "all are ready")
    assert time.monotonic() - killed < 5


def test_a_database_that_ran_already_is_taken_over(service: Service) -> None:
    assert service.run("db", "start").returncode == 0
    service.start()
    assert service.run("db", "stop").returncode == 1
    service.signal(signal.SIGINT)
    assert service.end() == 0
    assert service.run("db", "status").returncode == 3


def test_an_external_database_that_comes_later_is_waited_for_and_named(service: Service, database) -> None:
    with Wire(database.application_url) as wire:
        wire.refuse()
        service.environment |= {
            "RINGFENCE_DATABASE__URL": wire.url,
            "RINGFENCE_DATABASE__OWNER_URL": database.owner_url,
        }
        service.begin()
        until(lambda: "can't connect" in service.said(), "its word")
        until(lambda: service.get("/healthz", service.port + 1)[0] == 200, "an instance that waits")
        assert service.get("/readyz", service.port + 1)[0] == 503
        assert service.exit_code() is None
        wire.heal()
        until(lambda: READY in service.said(), "it is ready")
        assert service.said().count("can't connect") == 1
        service.signal(signal.SIGINT)
        assert service.end() == 0


def test_a_program_that_does_not_start_is_named_with_the_end_of_its_log(service: Service) -> None:
    service.run("db", "start")
    service.run("db", "stop")
    with (service.folder / "var/postgres/postgresql.conf").open("a") as file:
        file.write("shared_buffers = 'plenty'\n")
    service.begin()
    assert service.end() == 1
    assert "PostgreSQL does not start" in service.said()
    assert 'invalid value for parameter "shared_buffers"' in service.said()
    assert service.left() == {}


def test_a_wrong_setting_ends_it_before_anything_starts(service: Service) -> None:
    (service.folder / "config.yaml").write_text("http:\n  prot: 8000\n")
    failed = service.run("up")
    assert failed.returncode == 2
    assert "http.prot: unknown key" in failed.stderr
    assert not (service.folder / "var").exists()


def test_it_works_in_a_deep_folder_with_blanks_and_letters_of_all_kinds(service: Service) -> None:
    deep = service.folder.joinpath(*["größer & tiefer 100%"] * 6)
    deep.mkdir(parents=True)
    (service.folder / "config.yaml").rename(deep / "config.yaml")
    service.folder = deep
    service.start()
    assert service.is_ready()
    service.signal(signal.SIGINT)
    assert service.end() == 0
    assert service.left() == {}


def test_the_shipped_file_works_with_plain_supervisord(service: Service, project: Path) -> None:
    text = (project / "supervisord.conf").read_text()
    text = text.replace(":8000", f":{service.port}").replace("numprocs=6", f"numprocs={service.instances}")
    (service.folder / "supervisord.conf").write_text(text)
    for folder in ("var/log", "var/run", ".venv/bin"):
        (service.folder / folder).mkdir(parents=True)
    script = service.folder / ".venv/bin/ringfence"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m server "$@"\n')
    script.chmod(0o755)
    pid, terminal = start_in_terminal(
        service, sys.executable, "-m", "supervisor.supervisord", "-n", "-c", "supervisord.conf"
    )
    try:
        until(service.is_ready, "the instances are ready")
        os.kill(pid, signal.SIGTERM)
        read_until(terminal, "an end that is never shown")
        _, status = os.waitpid(pid, 0)
    finally:
        os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 0
    until(lambda: processes_of(service.folder) == {}, "everything has ended", 10)


def test_under_supervisord_the_first_runs_wait_for_all_instances_and_are_spread_evenly(
    service: Service, project: Path
) -> None:
    settings = yaml.safe_load((service.folder / "config.yaml").read_text())
    settings["cluster"]["settle"] = "50ms"  # far less than the instances take to start one after the other
    settings["tasks"] = {
        f"task-{number}": {
            "function": "server.jobs.pi:estimate_pi",
            "every": "1h",
            "params": {"minimum_seconds": 30},
        }
        for number in range(5)
    }
    (service.folder / "config.yaml").write_text(yaml.safe_dump(settings))
    service.start()
    until(lambda: all(task["running"] for task in service.get("/tasks")[1]["tasks"]), "all tasks run")
    spread = Counter(task["running"]["node"] for task in service.get("/tasks")[1]["tasks"])
    assert sorted(spread.values()) == [2, 3]
