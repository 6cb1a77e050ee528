"""The command line: what it accepts, and how it says no."""

import configparser
import os
import shlex
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from server.cli import configuration, lock, main, ports
from server.cli.commands import app
from server.errors import ConfigurationError
from server.node import REFUSED_EXIT
from server.postgres.socket_folder import SOCKET_PATH_BYTES_MAX, socket_folder
from server.process import siblings
from server.settings import Settings, load
from server.supervised import REFUSAL_SECONDS, stop_seconds

COMMANDS = (
    ["up"],
    ["serve"],
    ["migrate"],
    ["burst"],
    ["restart"],
    ["scale"],
    ["top"],
    ["doctor"],
    ["config"],
    ["config", "check"],
    ["config", "show"],
    ["tasks"],
    ["run"],
    ["pause"],
    ["resume"],
    ["cancel"],
    ["log-level"],
    ["backup"],
    ["restore"],
    ["db"],
    ["db", "start"],
    ["db", "stop"],
    ["db", "status"],
    ["db", "url"],
    ["db", "psql"],
    ["db", "upgrade"],
    ["db", "move"],
)


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Each test runs in an empty folder, without settings of the person who runs it."""
    for name in [name for name in os.environ if name.startswith("RINGFENCE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("RINGFENCE_CONFIG", "")  # so that what a command sets is undone after the test
    monkeypatch.chdir(tmp_path)
    return tmp_path


def ringfence(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Runs main() as the console script does; returns the exit code."""
    monkeypatch.setattr(sys, "argv", ["ringfence", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def settings(folder: Path, text: str = "") -> Settings:
    (folder / "config.yaml").write_text(text or "tasks: {}\n")
    return load(str(folder / "config.yaml"), {})


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_each_command_explains_itself(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    assert ringfence(monkeypatch, *command, "--help") == 0
    assert "Usage" in capsys.readouterr().out


def test_help_lists_every_command_and_no_hidden_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ringfence(monkeypatch, "--help") == 0
    shown = capsys.readouterr().out
    for name in ("up", "serve", "scale", "tasks", "run", "cancel", "migrate", "burst", "db"):
        assert f" {name} " in shown
    assert ringfence(monkeypatch, "db", "--help") == 0
    assert "foreground" not in capsys.readouterr().out


def test_help_does_not_import_what_only_a_service_needs(project: Path) -> None:
    code = (
        "import sys; sys.argv = ['ringfence', '--help']\n"
        "from server.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([name for name in ('psycopg', 'tornado', 'alembic', 'sqlalchemy', 'msgspec') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=project, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    "command", [["db", "url"], ["up"], ["migrate"], ["serve", "--node", "1"]], ids=" ".join
)
def test_a_wrong_configuration_ends_with_file_key_and_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, command: list[str]
) -> None:
    (tmp_path / "config.yaml").write_text("http:\n  port: many\n")
    assert ringfence(monkeypatch, *command) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert f"{tmp_path}/config.yaml: http.port: " in said.err
    assert "Traceback" not in said.err


@pytest.mark.parametrize("place", ["before", "after"])
def test_the_configuration_may_be_named_before_or_after_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, place: str
) -> None:
    (tmp_path / "other.yaml").write_text("var: elsewhere\n")
    option = ["--config", "other.yaml"]
    arguments = [*option, "db", "status"] if place == "before" else ["db", "status", *option]
    assert ringfence(monkeypatch, *arguments) == 3
    assert "elsewhere" in capsys.readouterr().out


def test_the_connection_string_of_an_external_database_is_the_configured_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RINGFENCE_DATABASE__URL", "postgresql://app@db.example/bank")
    monkeypatch.setenv("RINGFENCE_DATABASE__OWNER_URL", "postgresql://owner@db.example/bank")
    assert ringfence(monkeypatch, "db", "url") == 0
    assert ringfence(monkeypatch, "db", "url", "--owner") == 0
    assert capsys.readouterr().out.split() == [
        "postgresql://app@db.example/bank",
        "postgresql://owner@db.example/bank",
    ]


@pytest.mark.parametrize("command", ["start", "stop", "status"])
def test_an_external_database_is_not_ours_to_start_or_stop(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    monkeypatch.setenv("RINGFENCE_DATABASE__URL", "postgresql://app@db.example/bank")
    assert ringfence(monkeypatch, "db", command) == 1
    assert "database.url" in capsys.readouterr().err


def test_a_database_that_does_not_run_has_status_3(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert ringfence(monkeypatch, "db", "status") == 3
    assert ringfence(monkeypatch, "db", "stop") == 0
    assert ringfence(monkeypatch, "migrate") == 1
    assert "ringfence db start" in capsys.readouterr().err
    assert not (tmp_path / "var/postgres").exists()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--name", "node"], "expected node-1"),
        (["--name", "node-0"], "expected node-1"),
        (["--name", "node-1", "--node", "2"], "two different instances"),
        (["--node", "3", "--port", "2"], "above the number"),
    ],
    ids=str,
)
def test_serve_wants_one_instance(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], reason: str
) -> None:
    assert ringfence(monkeypatch, "serve", *arguments) == 2
    assert reason in capsys.readouterr().err


def test_the_version_is_that_of_the_package(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], project: Path
) -> None:
    assert ringfence(monkeypatch, "--version") == 0
    version = capsys.readouterr().out.split()[1]
    assert f'version="{version}"' in (project / "setup.py").read_text()
    assert app.info.name == "ringfence"


def test_supervisords_file_has_the_settings_in_it(tmp_path: Path) -> None:
    chosen = settings(
        tmp_path,
        "http: {host: 0.0.0.0, port: 9100, backlog: 99}\ncluster: {instances: 3, drain_seconds: 40}\ntasks: {}\n",
    )
    written = configparser.RawConfigParser()
    written.read(configuration.write(chosen).configuration)
    nodes = written["fcgi-program:node"]
    assert nodes["socket"] == "tcp://0.0.0.0:9100"
    assert (nodes["socket_backlog"], nodes["numprocs"]) == ("99", "3")
    assert int(nodes["stopwaitsecs"]) == stop_seconds(chosen) > 40
    assert shlex.split(nodes["command"])[:4] == [sys.executable, "-P", "-m", "server"]
    assert str(tmp_path / "config.yaml") in nodes["command"]
    assert nodes["stdout_logfile"].startswith(f"{tmp_path}/var/log/node-")
    assert written["program:postgres"]["stopsignal"] == "INT"


def test_a_node_is_told_how_many_start_with_it_and_one_started_by_hand_waits_for_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = settings(tmp_path, "cluster: {instances: 3}\ntasks: {}\n")
    written = configparser.RawConfigParser()
    written.read(configuration.write(chosen).configuration)
    assert written["fcgi-program:node"]["environment"] == "RINGFENCE__INSTANCES=3"
    monkeypatch.setenv("RINGFENCE__INSTANCES", "9")
    monkeypatch.delenv("SUPERVISOR_ENABLED", raising=False)
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert siblings(chosen) == 1
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/systemd/notify")
    assert siblings(chosen) == 9, "a unit of systemd"
    monkeypatch.delenv("NOTIFY_SOCKET")
    monkeypatch.setenv("SUPERVISOR_ENABLED", "1")
    assert siblings(chosen) == 9
    monkeypatch.delenv("RINGFENCE__INSTANCES")
    assert siblings(chosen) == 3, "a supervisord with a file of its own"


def test_supervisord_runs_no_database_where_an_external_one_is_set(tmp_path: Path) -> None:
    chosen = settings(tmp_path, "database: {url: 'postgresql://db.example/bank'}\ntasks: {}\n")
    written = configparser.RawConfigParser()
    written.read(configuration.write(chosen).configuration)
    assert written.sections()[-1] == "fcgi-program:node"
    assert "program:postgres" not in written


def test_an_instance_that_runs_by_earlier_settings_keeps_its_time_to_stop(tmp_path: Path) -> None:
    assert configuration.stop_seconds_written(settings(tmp_path)) == 0
    configuration.write(settings(tmp_path, "cluster: {drain_seconds: 40}\n"))
    shorter = settings(tmp_path, "cluster: {drain_seconds: 5}\n")
    before = configuration.stop_seconds_written(shorter)
    assert before == 50
    configuration.write(shorter, stop_seconds_min=before)
    assert configuration.stop_seconds_written(shorter) == 50
    configuration.write(shorter)
    assert configuration.stop_seconds_written(shorter) == 15


def test_a_path_that_supervisord_would_cut_short_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "my #1 project"
    folder.mkdir()
    with pytest.raises(ConfigurationError, match="rename the folder"):
        configuration.write(settings(folder))


def test_the_shipped_file_is_safe_for_the_database_and_the_jobs(project: Path) -> None:
    shipped = configparser.RawConfigParser()
    shipped.read(project / "supervisord.conf")
    nodes, postgres = shipped["fcgi-program:node"], shipped["program:postgres"]
    defaults = settings(Path.cwd())
    assert nodes["numprocs"] == str(defaults.cluster.instances)
    assert nodes["socket"] == f"tcp://{defaults.http.host}:{defaults.http.port}"
    assert nodes["socket_backlog"] == str(defaults.http.backlog)
    assert int(nodes["stopwaitsecs"]) == stop_seconds(defaults)
    assert int(postgres["priority"]) < int(nodes["priority"]), "started first, stopped last"
    assert postgres["stopsignal"] == "INT"


def test_an_instance_whose_name_is_taken_is_not_started_again_in_a_circle(project: Path) -> None:
    shipped = configparser.RawConfigParser()
    shipped.read(project / "supervisord.conf")
    node = shipped["fcgi-program:node"]
    assert node["autorestart"] == "unexpected"
    assert node["exitcodes"].split(",") == [str(REFUSED_EXIT)]
    # What ends sooner counts as a false start, and is repeated whatever its exit code.
    assert float(node["startsecs"]) < REFUSAL_SECONDS


def test_a_lock_is_held_once_and_names_its_holder(tmp_path: Path) -> None:
    assert lock.holder(tmp_path) is None
    with lock.held(tmp_path, "http://here"):
        assert lock.holder(tmp_path) == lock.Holder(os.getpid(), "http://here")
        second = lock.held(tmp_path, "http://there")
        with pytest.raises(lock.RunsAlreadyError, match=rf"http://here \(pid {os.getpid()}\)"):
            second.__enter__()
    assert lock.holder(tmp_path) is None
    with lock.held(tmp_path, "http://there"):
        pass


def test_a_taken_port_is_described_by_its_holder_and_its_setting(tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        number = holder.getsockname()[1]
        port = ports.Port("127.0.0.1", number, "the public one, http.port")
        assert ports.taken([port]) == [port]
        said = ports.describe([port], settings(tmp_path))
    assert f"port {number} (the public one, http.port) is taken by pid {os.getpid()}" in said
    assert str(tmp_path / "config.yaml") in said
    assert ports.taken([port]) == []


@pytest.mark.parametrize("host", ["203.0.113.7", "no.such.host.invalid", "::1"])
def test_an_address_that_is_not_ours_is_an_error_of_the_configuration(host: str) -> None:
    with pytest.raises(ConfigurationError, match=r"http\.host"):
        ports.taken([ports.Port(host, 18_123, "the public one, http.port")])


def test_sockets_lie_in_the_var_folder_unless_its_path_is_too_long(tmp_path: Path) -> None:
    assert socket_folder(tmp_path) == tmp_path / "run" / "sock"
    deep = tmp_path.joinpath(*["deep" * 10] * 5)
    outside = socket_folder(deep)
    assert not outside.is_relative_to(tmp_path)
    assert len(os.fsencode(outside / ".s.PGSQL.5432")) <= SOCKET_PATH_BYTES_MAX
    assert outside != socket_folder(deep / "other")
    assert outside == socket_folder(deep)


def test_every_socket_fits_however_long_the_path_of_the_var_folder_is(tmp_path: Path) -> None:
    for length in range(1, 80):
        folder = socket_folder(tmp_path / ("d" * length))
        # supervisord's first name for it is the longest.
        assert len(os.fsencode(folder / "supervisor.sock.4194304")) <= SOCKET_PATH_BYTES_MAX
