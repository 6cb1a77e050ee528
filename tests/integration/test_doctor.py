"""`ringfence doctor` on a real database and a real machine: each fault is found, named and mended."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from psycopg import sql
from service import free_ports

from server.access.administration import Wanted, create
from server.cli import configuration
from server.cli.doctor import machine
from server.cli.doctor.access import check_access
from server.cli.doctor.database import Reading, check_database, judge_clock
from server.cli.doctor.examination import examine, has_fault, show
from server.cli.doctor.finding import Finding, Level, fault
from server.cli.doctor.machine import check_machine
from server.cli.doctor.service import check_service
from server.settings import Settings, load

Doctored = Callable[..., Settings]


@pytest.fixture
def configured(tmp_path: Path, database) -> Doctored:
    """Settings for the test's own database, with what a test changes."""

    def make(text: str = "tasks: {}\n", **variables: str) -> Settings:
        (tmp_path / "config.yaml").write_text(text)
        urls = {
            "RINGFENCE_DATABASE__URL": database.application_url,
            "RINGFENCE_DATABASE__OWNER_URL": database.owner_url,
        }
        return load(str(tmp_path / "config.yaml"), urls | variables)

    return make


def by_subject(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.subject: finding for finding in findings}


def grave(findings: list[Finding]) -> list[str]:
    return [f"{one.subject}: {one.text}" for one in findings if one.level is not Level.OK]


def test_a_sound_database_has_nothing_to_mend(configured: Doctored) -> None:
    # max_connections of a server for tests may be any number; one node needs few.
    found = by_subject(list(check_database(configured("cluster: {instances: 1}\ntasks: {}\n"))))
    assert grave(list(found.values())) == []
    assert {"database version", "schema", "role rights", "database clock", "clock offset", "owner"} <= set(
        found
    )
    assert "writes no table directly" in found["role rights"].text


def test_rights_that_are_missing_or_too_many_are_faults(configured: Doctored, database) -> None:
    role = sql.Identifier("ringfence")
    with database.connect_as_owner() as owner:
        owner.execute(sql.SQL("revoke execute on function withdraw from {}").format(role))
        owner.execute(sql.SQL("grant update on users to {}").format(role))
        owner.execute(sql.SQL("revoke select on tasks from {}").format(role))
    said = [one for one in check_database(configured()) if one.subject == "role rights"]
    assert [one.level for one in said] == [Level.FAULT] * 3
    assert "can't read tasks" in said[0].text
    assert "withdraw(" in said[1].text and "move_money" not in said[1].text
    assert "may write users directly" in said[2].text
    assert all("ringfence migrate" in one.mend for one in said)


def test_one_role_for_all_is_a_warning_until_the_settings_say_that_it_has_to_be_so(
    configured: Doctored, database
) -> None:
    alone = {"RINGFENCE_DATABASE__URL": database.owner_url, "RINGFENCE_DATABASE__OWNER_URL": "null"}
    rights = by_subject(list(check_database(configured(**alone))))["role rights"]
    assert rights.level is Level.WARNING and "database.one_role" in rights.mend
    alone["RINGFENCE_DATABASE__ONE_ROLE"] = "true"
    assert by_subject(list(check_database(configured(**alone))))["role rights"].level is Level.OK


def test_a_schema_that_is_older_newer_or_absent_is_told_apart(configured: Doctored, database) -> None:
    def schema(text: str = "tasks: {}\n") -> Finding:
        return by_subject(list(check_database(configured(text))))["schema"]

    with database.connect_as_owner() as owner:
        owner.execute("update alembic_version set version_num = '0001'")
        assert (schema().level, schema("database: {migrate: false}\n").level) == (Level.WARNING, Level.FAULT)
        owner.execute("update alembic_version set version_num = '9999'")
        assert schema().level is Level.FAULT and "newer" in schema().text


def test_a_database_that_cannot_be_reached_or_takes_no_writes_is_a_fault(
    configured: Doctored, database
) -> None:
    nowhere = configured(RINGFENCE_DATABASE__URL="postgresql://127.0.0.1:1/nowhere?connect_timeout=1")
    (found,) = check_database(nowhere)
    assert (found.level, found.subject) == (Level.FAULT, "database")
    read_only = database.application_url + "&options=-c%20default_transaction_read_only%3Don"
    found = by_subject(list(check_database(configured(RINGFENCE_DATABASE__URL=read_only))))["database writes"]
    assert found.level is Level.FAULT and "read-write" in found.mend


def test_more_connections_than_the_server_allows_are_a_fault(configured: Doctored) -> None:
    found = by_subject(list(check_database(configured("cluster: {instances: 500}\ntasks: {}\n"))))[
        "connections"
    ]
    assert found.level is Level.FAULT and "max_connections" in found.mend


@pytest.mark.parametrize(
    ("database_moved", "offset", "levels"),
    [
        (0.5, 0.0, ["ok", "ok"]),
        (0.0, 0.0, ["fault", "ok"]),
        (30.0, 30.0, ["fault", "warning"]),
        (0.5, -5.0, ["ok", "warning"]),
    ],
)
def test_a_clock_that_stands_or_jumps_is_a_fault_and_an_offset_a_warning(
    database_moved: float, offset: float, levels: list[str]
) -> None:
    first = Reading(database=1000.0 + offset, here=50.0, wall=1000.0)
    second = Reading(
        database=first.database + database_moved, here=50.5, wall=first.database + database_moved - offset
    )
    assert [one.level for one in judge_clock(first, second, margin_seconds=2.0)] == levels


def test_a_port_that_another_holds_is_a_fault_with_its_holder(configured: Doctored) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        chosen = configured(f"http: {{port: {port}}}\ncluster: {{instances: 1}}\ntasks: {{}}\n")
        found = by_subject(list(check_service(chosen)))["ports"]
    assert found.level is Level.FAULT
    assert f"taken by pid {os.getpid()}" in found.text and "http.port" in found.mend


def test_a_supervisord_that_kills_sooner_than_a_node_may_drain_is_a_fault(
    configured: Doctored, tmp_path: Path
) -> None:
    chosen = configured("cluster: {drain_seconds: 20}\ntasks: {}\n")
    assert by_subject(list(check_service(chosen)))["stop time"].level is Level.OK
    (tmp_path / "supervisord.conf").write_text(f"[{configuration.NODES}]\nstopwaitsecs=10 ; short\n")
    found = by_subject(list(check_service(chosen)))["stop time"]
    assert found.level is Level.FAULT and "stopwaitsecs=30" in found.mend


def test_little_disk_and_little_memory_are_told(
    configured: Doctored, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = configured()
    assert [one.level for one in check_machine(chosen) if one.subject == "disk"] == [Level.OK]
    monkeypatch.setattr(machine, "DISK_BYTES_MIN", 1 << 60)
    monkeypatch.setattr(machine, "NODE_BYTES", 1 << 60)
    found = by_subject(list(check_machine(chosen)))
    assert (found["disk"].level, found["memory"].level) == (Level.FAULT, Level.WARNING)


def test_settings_that_cannot_be_used_are_faults_and_end_the_examination(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("RINGFENCE_CONFIG", "")
    (tmp_path / "config.yaml").write_text("http: {port: many}\ncluster: {ttl: 1s}\n")
    findings = examine(str(tmp_path / "config.yaml"))
    assert [one.subject for one in findings] == ["settings", "settings"]
    assert has_fault(findings)


def doctor(folder: Path, project: Path, *prefix: str) -> "subprocess.CompletedProcess[str]":
    """Runs the command as a person does, on a configuration that uses the embedded database."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RINGFENCE_")}
    return subprocess.run(
        [*prefix, sys.executable, "-m", "server", "doctor", "--json", "-c", str(folder / "config.yaml")],
        capture_output=True,
        text=True,
        env=environment | {"PYTHONPATH": str(project)},
        cwd=folder,
        check=False,
    )


def test_a_fault_ends_the_command_with_exit_code_1_and_a_warning_does_not(
    tmp_path: Path, project: Path
) -> None:
    first = free_ports(2)
    (tmp_path / "config.yaml").write_text(
        f"http: {{port: {first}}}\ncluster: {{instances: 1}}\ntasks: {{}}\n"
    )
    done = doctor(tmp_path, project)
    levels = {one["check"]: one["level"] for one in json.loads(done.stdout)["findings"]}
    assert (done.returncode, levels["settings"], levels["database"]) == (0, "ok", "warning"), done.stdout
    assert not (tmp_path / "var").exists(), "it looks and changes nothing"

    done = doctor(tmp_path, project, "sh", "-c", 'ulimit -n 512 && exec "$@"', "sh")
    found = json.loads(done.stdout)
    assert (done.returncode, found["worst"]) == (1, "fault")
    assert "LimitNOFILE=" in next(one["mend"] for one in found["findings"] if one["check"] == "open files")


def test_findings_are_lines_that_can_be_searched(capsys: pytest.CaptureFixture[str]) -> None:
    show([fault("ports", "port 8000 is taken " + "x" * 100, "stop what holds it")], as_json=False)
    first, second, *_, last = capsys.readouterr().out.splitlines()
    assert first.startswith("FAULT    ports            port 8000 is taken x")
    assert second.strip() == "-> stop what holds it"
    assert last == "1 checked: 1 fault, no warnings."


def test_where_requests_need_a_token_it_says_whether_there_is_one(configured: Doctored, database) -> None:
    def found(**variables: str) -> Finding:
        (finding,) = check_access(configured(**variables))
        return finding

    assert "127.0.0.1 is reached from this host alone" in found().text
    open_to_all = {"RINGFENCE_HTTP__HOST": "0.0.0.0"}
    none = found(**open_to_all)
    assert (none.level, none.mend) == (Level.FAULT, "ringfence token create --scope admin")
    create(database.owner_url, Wanted(scopes=["read"], lifetime_seconds=0.001))
    assert found(**open_to_all).level is Level.WARNING
    create(database.owner_url, Wanted(scopes=["read"]))
    assert found(RINGFENCE_SECURITY__TOKENS="required").level is Level.OK
