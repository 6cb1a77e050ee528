"""The embedded PostgreSQL: whatever the place, whatever was left behind."""

import contextlib
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import psycopg
import pytest

from server.errors import DatabaseUnavailableError
from server.postgres.embedded import EmbeddedServer


class MakeServer(Protocol):
    """See the fixture make_server."""

    def __call__(self, var_folder: Path, *, with_data: bool = True) -> EmbeddedServer:
        """Makes a server."""


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A folder whose path is short whoever runs the tests: that of a socket may have 107 bytes."""
    folder = Path(tempfile.mkdtemp(prefix="rf-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def empty_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder that was just made, to copy: that takes a tenth of the time of making one."""
    server = EmbeddedServer(tmp_path_factory.mktemp("made"))
    server.initialise()
    return server.data_folder


@pytest.fixture
def make_server(empty_data: Path) -> Iterator[MakeServer]:
    """Makes servers with or without data, and stops those that still run at the end."""
    made: list[EmbeddedServer] = []

    def make(var_folder: Path, *, with_data: bool = True) -> EmbeddedServer:
        made.append(EmbeddedServer(var_folder))
        if with_data:
            shutil.copytree(empty_data, made[-1].data_folder)
        return made[-1]

    yield make
    for server in made:
        server.stop()


def ask(url: str, question: str) -> object:
    """The first value of the first row, if the statement has any."""
    with psycopg.connect(url) as connection:
        cursor = connection.execute(question)
        row = cursor.fetchone() if cursor.description else None
    return row[0] if row else None


def until(condition: Callable[[], bool], seconds_max: float = 15.0) -> None:
    deadline = time.monotonic() + seconds_max
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.01)


def test_it_starts_serves_and_stops(tmp_path: Path, make_server: MakeServer) -> None:
    server = make_server(tmp_path / "var", with_data=False)
    assert server.running_pid() is None
    assert server.start()
    assert server.is_ready()
    assert ask(server.application_url, "select current_user::text") == "ringfence"
    assert server.stop()
    assert server.running_pid() is None
    assert not server.stop()


def test_starting_twice_says_that_it_runs_already(tmp_path: Path, make_server: MakeServer) -> None:
    server = make_server(tmp_path / "var")
    assert server.start()
    assert not EmbeddedServer(server.var_folder).start()


def test_what_was_written_is_there_after_a_restart(tmp_path: Path, make_server: MakeServer) -> None:
    server = make_server(tmp_path / "var")
    server.start()
    ask(server.owner_url, "create table kept as select 42 as answer")
    server.stop()
    server.start()
    assert ask(server.owner_url, "select answer from kept") == 42


def test_settings_for_durability_and_privacy_hold(tmp_path: Path, make_server: MakeServer) -> None:
    server = make_server(tmp_path / "var")
    server.start()
    expected = {
        "listen_addresses": "",
        "fsync": "on",
        "full_page_writes": "on",
        "synchronous_commit": "on",
        "data_checksums": "on",
        "server_encoding": "UTF8",
        "TimeZone": "UTC",
        "max_connections": "200",
    }
    for name, value in expected.items():
        assert ask(server.application_url, f"select current_setting('{name}')") == value, name
    assert stat.S_IMODE(server.socket_folder.stat().st_mode) == 0o700


def test_the_three_urls_are_three_roles(tmp_path: Path, make_server: MakeServer) -> None:
    server = make_server(tmp_path / "var")
    server.start()
    assert ask(server.application_url, "select session_user::text") == "ringfence"
    assert ask(server.owner_url, "select current_user::text") == "ringfence_owner"
    assert ask(server.superuser_url, "select current_setting('is_superuser')") == "on"
    owner = ask(
        server.superuser_url, "select datdba::regrole::text from pg_database where datname = 'ringfence'"
    )
    assert owner == "ringfence_owner"


def test_the_owner_cannot_log_in(tmp_path: Path, make_server: MakeServer) -> None:
    server = make_server(tmp_path / "var")
    server.start()
    url = server.application_url.replace("//ringfence@", "//ringfence_owner@")
    with pytest.raises(psycopg.OperationalError, match="not permitted to log in"):
        psycopg.connect(url)


def test_the_application_cannot_become_the_owner_or_make_tables(
    tmp_path: Path, make_server: MakeServer
) -> None:
    server = make_server(tmp_path / "var")
    server.start()
    for forbidden in ("set role ringfence_owner", "set role postgres", "create table mine (id int)"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            ask(server.application_url, forbidden)


@pytest.mark.parametrize(
    "name",
    ["with some spaces", "größer als Ω", 'quote\'d "twice"', "back\\slash, comma", "100% #1; \u2013 [x]"],
)
def test_it_works_in_a_folder_of_any_name(tmp_path: Path, make_server: MakeServer, name: str) -> None:
    server = make_server(tmp_path / name / "var", with_data=False)
    server.start()
    assert ask(server.application_url, "select 1") == 1


def test_it_works_in_a_path_that_is_too_deep_for_a_socket(tmp_path: Path, make_server: MakeServer) -> None:
    deep = tmp_path.joinpath(*["a rather long name"] * 12)
    server = make_server(deep / "var", with_data=False)
    server.start()
    assert ask(server.application_url, "select 1") == 1
    folder = server.socket_folder
    assert not folder.is_relative_to(tmp_path)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    server.stop()
    assert not folder.exists()


def test_another_shell_with_another_temporary_folder_finds_the_socket(
    tmp_path: Path, make_server: MakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = Path("/tmp") / f"ringfence-runtime-{os.getpid()}"
    runtime.mkdir(mode=0o700)
    try:
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
        server = make_server(tmp_path.joinpath(*["a rather long name"] * 12) / "var")
        server.start()
        assert server.socket_folder.parent == runtime
        monkeypatch.delenv("XDG_RUNTIME_DIR")
        assert ask(EmbeddedServer(server.var_folder).application_url, "select 1") == 1
        server.stop()
    finally:
        runtime.rmdir()


def test_it_does_not_use_a_socket_folder_that_others_can_enter(
    tmp_path: Path, make_server: MakeServer
) -> None:
    server = make_server(tmp_path / "var")
    server.socket_folder.mkdir(parents=True)
    server.socket_folder.chmod(0o755)
    with pytest.raises(DatabaseUnavailableError, match="yours alone"):
        server.start()
    assert stat.S_IMODE(server.socket_folder.stat().st_mode) == 0o755


def test_it_does_not_follow_a_link_in_place_of_the_socket_folder(
    tmp_path: Path, make_server: MakeServer
) -> None:
    server = make_server(tmp_path / "var")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    server.socket_folder.parent.mkdir(parents=True)
    server.socket_folder.symlink_to(elsewhere)
    with pytest.raises(DatabaseUnavailableError, match="yours alone"):
        server.start()


def test_no_folder_that_was_there_changes_its_mode(tmp_path: Path, make_server: MakeServer) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    var = home / "var"
    var.mkdir(mode=0o750)
    server = make_server(var, with_data=False)
    server.start()
    assert ask(server.application_url, "select 1") == 1
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert stat.S_IMODE(var.stat().st_mode) == 0o750


def test_it_recovers_after_the_whole_server_was_killed(tmp_path: Path, make_server: MakeServer) -> None:
    server = make_server(tmp_path / "var")
    server.start()
    ask(server.owner_url, "create table kept as select 42 as answer")
    pid = server.running_pid()
    assert pid is not None
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    for victim in [pid, *map(int, children)]:
        os.kill(victim, signal.SIGKILL)
    until(lambda: server.running_pid() is None)
    assert (server.data_folder / "postmaster.pid").exists()
    assert server.start()
    assert ask(server.owner_url, "select answer from kept") == 42


def test_it_starts_again_at_once_after_its_main_process_alone_was_killed(
    tmp_path: Path, make_server: MakeServer
) -> None:
    server = make_server(tmp_path / "var")
    server.start()
    with psycopg.connect(server.application_url) as client:
        client.execute("select 1")
        pid = server.running_pid()
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        until(lambda: server.running_pid() is None)
        assert server.start()
        with contextlib.suppress(psycopg.OperationalError):
            client.execute("select 1")
    assert ask(server.application_url, "select 1") == 1


def test_a_stale_pid_file_whose_pid_another_process_has_is_no_obstacle(
    tmp_path: Path, make_server: MakeServer
) -> None:
    server = make_server(tmp_path / "var")
    server.start()
    folder, lines = server.socket_folder, (server.data_folder / "postmaster.pid").read_text().splitlines()
    server.stop()
    lines[0] = str(os.getpid())
    (server.data_folder / "postmaster.pid").write_text("\n".join(lines) + "\n")
    (folder / ".s.PGSQL.5432.lock").write_text("\n".join(lines) + "\n")
    (folder / ".s.PGSQL.5432").touch()
    assert server.running_pid() is None
    assert server.start()
    assert ask(server.application_url, "select 1") == 1


def test_many_starters_at_once_start_one_server(tmp_path: Path, make_server: MakeServer) -> None:
    server = make_server(tmp_path / "var", with_data=False)
    code = (
        "import sys; from pathlib import Path; from server.postgres.embedded import EmbeddedServer; "
        "print(EmbeddedServer(Path(sys.argv[1])).start())"
    )
    starters = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(server.var_folder)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).resolve().parents[2],
        )
        for _ in range(4)
    ]
    ended = [(*starter.communicate(timeout=60), starter.returncode) for starter in starters]
    assert [code for _, _, code in ended] == [0] * 4, ended
    assert sorted(said.strip() for said, _, _ in ended) == ["False", "False", "False", "True"]
    assert ask(server.application_url, "select 1") == 1


def test_an_interrupted_making_is_thrown_away(tmp_path: Path, make_server: MakeServer) -> None:
    server = make_server(tmp_path / "var", with_data=False)
    half = server.data_folder.with_name("postgres.new")
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    assert server.initialise()
    assert not half.exists()
    assert not server.initialise()


def test_data_of_another_major_version_is_refused_untouched(tmp_path: Path, make_server: MakeServer) -> None:
    server = make_server(tmp_path / "var", with_data=False)
    server.data_folder.mkdir(parents=True, mode=0o700)
    version = server.data_folder / "PG_VERSION"
    version.write_text("17\n")
    with pytest.raises(DatabaseUnavailableError, match="made by PostgreSQL 17"):
        server.start()
    assert version.read_text() == "17\n"


def test_a_folder_that_holds_something_else_is_refused_untouched(
    tmp_path: Path, make_server: MakeServer
) -> None:
    server = make_server(tmp_path / "var", with_data=False)
    server.data_folder.mkdir(parents=True)
    (server.data_folder / "thesis.txt").write_text("the only copy")
    with pytest.raises(DatabaseUnavailableError, match="no data folder"):
        server.start()
    assert (server.data_folder / "thesis.txt").read_text() == "the only copy"


def test_a_failing_start_ends_with_the_last_lines_of_its_log(tmp_path: Path, make_server: MakeServer) -> None:
    server = make_server(tmp_path / "var")
    with (server.data_folder / "postgresql.conf").open("a") as file:
        file.write("shared_buffers = 'plenty'\n")
    with pytest.raises(DatabaseUnavailableError, match=r'invalid value for parameter "shared_buffers"'):
        server.start()


def test_settings_of_ones_own_stay_and_win(tmp_path: Path, make_server: MakeServer) -> None:
    server = make_server(tmp_path / "var")
    with (server.data_folder / "postgresql.conf").open("a") as file:
        file.write("max_connections = 33\n")
    server.start()
    assert ask(server.application_url, "select current_setting('max_connections')") == "33"


def test_variables_of_postgresql_in_the_environment_change_nothing(
    tmp_path: Path, make_server: MakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("PGPORT", "6543"), ("PGDATA", "/nonexistent"), ("PGHOST", "/nonexistent")):
        monkeypatch.setenv(name, value)
    server = make_server(tmp_path / "var", with_data=False)
    server.start()
    assert ask(server.application_url, "select 1") == 1


def test_a_full_or_closed_place_ends_with_a_message(make_server: MakeServer) -> None:
    server = make_server(Path("/proc/ringfence/var"), with_data=False)
    with pytest.raises(DatabaseUnavailableError, match="can't be kept here"):
        server.start()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, who alone meets this")
def test_root_is_told_which_folder_of_another_user_is_closed_to_the_database(
    tmp_path: Path, make_server: MakeServer
) -> None:
    home = tmp_path / "home of another"
    home.mkdir(mode=0o700)
    os.chown(home, 12345, 12345)
    server = make_server(home / "var", with_data=False)
    with pytest.raises(DatabaseUnavailableError, match="home of another, which belongs to uid 12345"):
        server.start()


def test_where_the_kernel_refuses_root_a_namespace_it_says_what_to_do(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from server.postgres.embedded import EmbeddedServer; "
        "EmbeddedServer(Path(sys.argv[1])).start()"
    )
    # Root of a namespace that may have no further ones below it.
    inside = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"'
    refused = ["unshare", "--user", "--map-root-user", "sh", "-c", inside, "sh"]
    if subprocess.run([*refused, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no user namespaces here")
    done = subprocess.run(
        [*refused, sys.executable, "-c", code, str(tmp_path / "var")],
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "refuses to run as root" in done.stderr
    assert "Run ringfence as an ordinary user, or set database.url" in done.stderr


def test_in_the_foreground_it_ends_with_its_parent(tmp_path: Path, make_server: MakeServer) -> None:
    server = make_server(tmp_path / "var")
    code = (
        "import sys, time; from pathlib import Path; import subprocess; "
        "subprocess.Popen([sys.executable, '-c', 'import sys; from pathlib import Path; "
        "from server.postgres.embedded import EmbeddedServer; "
        "EmbeddedServer(Path(sys.argv[1])).run_in_foreground()', sys.argv[1]]); time.sleep(600)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(server.var_folder)],
        stderr=subprocess.DEVNULL,
        cwd=Path(__file__).resolve().parents[2],
    ) as parent:
        until(server.is_ready)
        parent.kill()
    until(lambda: server.running_pid() is None)
