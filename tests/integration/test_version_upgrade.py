"""Data of an older PostgreSQL: refused with the command that mends it, and mended by it.

The wheel carries the programs of an older version too, so that nothing else is needed.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from old_server import OldServer
from service import processes_of, until

from server.errors import DatabaseUnavailableError
from server.postgres import migrations, version_upgrade
from server.postgres.binaries import binary
from server.postgres.embedded import EmbeddedServer


@pytest.fixture(scope="module")
def old_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder that an older PostgreSQL made, migrated and used, to copy."""
    one = OldServer(tmp_path_factory.mktemp("old") / "var")
    one.make()
    with one.running():
        migrations.upgrade(one.owner_url, one.application_url)
        with psycopg.connect(one.application_url, autocommit=True) as connection:
            connection.execute("select * from withdraw(1, 250)")
    return one.data_folder


@pytest.fixture
def old(tmp_path: Path, old_data: Path) -> OldServer:
    """An installation with such data."""
    one = OldServer(tmp_path / "var")
    shutil.copytree(old_data, one.data_folder)
    one.settle()
    return one


@pytest.fixture
def server(old: OldServer) -> Iterator[EmbeddedServer]:
    """The same folder, as this version sees it."""
    one = EmbeddedServer(old.var_folder)
    yield one
    one.stop()


def ask(url: str, question: str) -> object:
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(question).fetchone()
    return row[0] if row else None


def test_it_is_refused_with_the_command_that_brings_it_up(server: EmbeddedServer) -> None:
    with pytest.raises(DatabaseUnavailableError, match="`ringfence db upgrade` brings it up"):
        server.start()


def test_after_the_command_everything_is_there_and_works(old: OldServer, server: EmbeddedServer) -> None:
    with (old.data_folder / "postgresql.conf").open("a") as file:
        file.write("work_mem = '7MB'\n")
    (old.var_folder.parent / "config.yaml").write_text("tasks: {}\n")
    done = subprocess.run(
        [sys.executable, "-m", "server", "db", "upgrade"],
        cwd=old.var_folder.parent,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    kept = old.var_folder / f"postgres.{old.version}"
    assert str(kept) in done.stdout and (kept / "PG_VERSION").exists()
    assert sorted(path.name for path in old.var_folder.glob("postgres*")) == ["postgres", kept.name]

    server.start()
    assert ask(server.application_url, "select current_setting('server_version_num')::int / 10000") == 18
    assert ask(server.application_url, "select balance from users where id = 1") == 9_750
    assert ask(server.application_url, "select balance from withdraw(1, 50)") == 9_700
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        ask(server.application_url, "update users set balance = 0 returning 1")
    assert migrations.upgrade(server.owner_url, server.application_url) == []
    assert ask(server.application_url, "select current_setting('work_mem')") == "7MB", (
        "a setting of one's own"
    )


def test_data_of_a_server_that_was_killed_is_recovered_first(old: OldServer, server: EmbeddedServer) -> None:
    with old.running() as pid:
        ask(old.application_url, "select balance from withdraw(1, 1)")
        os.kill(pid, signal.SIGKILL)
        # Where another test has made this process a subreaper, nobody else does it.
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)
        # Its sessions notice the death, and until then keep another one from starting.
        until(lambda: not processes_of(old.data_folder), "the end of the whole server")
    server.upgrade()
    server.start()
    assert ask(server.application_url, "select balance from users where id = 1") == 9_749


def test_a_failed_upgrade_changes_nothing(old: OldServer, server: EmbeddedServer) -> None:
    with old.running(), psycopg.connect(old.superuser_url) as connection:
        # By number, which is another one in the new version: pg_upgrade refuses such columns.
        connection.execute("create table in_the_way (what regproc)")
    with pytest.raises(DatabaseUnavailableError, match="pg_upgrade failed"):
        server.upgrade()
    with old.running():
        assert ask(old.application_url, "select balance from users where id = 1") == 9_750


def test_without_the_older_programs_it_says_how_to_get_them(old: OldServer, server: EmbeddedServer) -> None:
    with pytest.raises(DatabaseUnavailableError, match=rf"apt install postgresql-{old.version}.*--old-bin"):
        server.upgrade(binary("postgres").parent)
    assert (old.data_folder / "PG_VERSION").read_text().strip() == old.version


def test_a_running_database_is_not_upgraded(old: OldServer, server: EmbeddedServer) -> None:
    with old.running(), pytest.raises(DatabaseUnavailableError, match="runs"):
        server.upgrade()


def test_an_upgrade_that_was_cut_off_between_its_renames_is_finished_by_the_next_start(
    tmp_path: Path,
) -> None:
    server = EmbeddedServer(tmp_path / "var")
    server.initialise()
    server.data_folder.rename(version_upgrade.upgraded(server.data_folder))
    assert not server.initialise(), "it is the upgraded one, and no new one"
    assert server.data_folder.exists()


def test_what_is_new_enough_is_left_alone(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path / "var")
    assert server.upgrade() is None, "there is no data"
    server.initialise()
    assert server.upgrade() is None
