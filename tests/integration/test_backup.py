"""Backup, restore and move: the whole database or nothing, and the service works afterwards."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import psycopg
import pytest
from old_server import OldServer
from psycopg import sql
from psycopg.conninfo import make_conninfo

from server.postgres import migrations
from server.postgres.embedded import EmbeddedServer

PROJECT = Path(__file__).resolve().parents[2]
_numbers = count(1)


class Installation:
    """A folder with a configuration and an embedded database, and the command line in it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        (folder / "config.yaml").write_text("tasks: {}\n")
        self.folder = folder
        self.server = EmbeddedServer(folder / "var")

    def run(self, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        kept = {name: value for name, value in os.environ.items() if not name.startswith("RINGFENCE_")}
        return subprocess.run(
            [sys.executable, "-m", "server", *arguments],
            cwd=self.folder,
            env=kept | {"PYTHONPATH": str(PROJECT)} | variables,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def must(self, *arguments: str, **variables: str) -> str:
        done = self.run(*arguments, **variables)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def used_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with something in its ledger, to copy: that takes a tenth of the time of making one."""
    server = EmbeddedServer(tmp_path_factory.mktemp("used"))
    server.start()
    migrations.upgrade(server.owner_url, server.application_url)
    with psycopg.connect(server.application_url, autocommit=True) as connection:
        connection.execute("select open_account(500)")
        connection.execute("select * from withdraw(1, 250)")
        connection.execute("select * from deposit(2, 50)")
    server.stop()
    return server.data_folder


@pytest.fixture
def here(tmp_path: Path, used_data: Path) -> Iterator[Installation]:
    """An installation with such data; its database runs."""
    one = Installation(tmp_path / "here")
    shutil.copytree(used_data, one.server.data_folder)
    one.server.start()
    yield one
    one.server.stop()


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Installation]:
    """An installation that was never started."""
    one = Installation(tmp_path / "elsewhere")
    yield one
    one.server.stop()


class External:
    """An empty database on another server. Roles are the server's, so each test has names of its own."""

    def __init__(self, superuser_url: str) -> None:
        self._superuser_url = superuser_url
        number = f"{os.getpid()}_{next(_numbers)}"
        self.name, self.owner, self.clerk, self.newcomer = (
            f"{what}_{number}" for what in ("bank", "banker", "clerk", "newcomer")
        )

    @property
    def url(self) -> str:
        """A superuser in that database."""
        return make_conninfo(self._superuser_url, dbname=self.name)

    def url_of(self, role: str) -> str:
        return make_conninfo(self.url, user=role)

    def make(self) -> None:
        with psycopg.connect(self._superuser_url, autocommit=True) as connection:
            for role in (self.owner, self.clerk):
                connection.execute(sql.SQL("create role {} login").format(sql.Identifier(role)))
            connection.execute(
                sql.SQL("create database {} owner {}").format(*map(sql.Identifier, (self.name, self.owner)))
            )

    def drop(self) -> None:
        with psycopg.connect(self._superuser_url, autocommit=True) as connection:
            connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(self.name)))
            for role in (self.owner, self.clerk, self.newcomer):
                connection.execute(sql.SQL("drop role if exists {}").format(sql.Identifier(role)))


@pytest.fixture(params=["the server of the tests", "an older one"])
def external(request: pytest.FixtureRequest, server: str, tmp_path: Path) -> Iterator[External]:
    """Another server: the one of the tests, which CI also runs on PostgreSQL 15, and the wheel's older one."""
    with contextlib.ExitStack() as stack:
        if request.param == "an older one":
            old = OldServer(tmp_path / "external")
            old.make()
            stack.enter_context(old.running())
            one = External(old.superuser_url)
        else:
            one = External(server)
        one.make()
        stack.callback(one.drop)
        yield one


def ask(url: str, question: str) -> object:
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(question).fetchone()
    return row[0] if row else None


def recorded(url: str) -> object:
    """What commands did with the database, as its audit record tells it."""
    return ask(
        url,
        "select string_agg(action || ' ' || outcome, ', ' order by id) from audit where actor_kind = 'user'",
    )


def works(application_url: str) -> None:
    """The service's role may do what it must, and no more."""
    assert ask(application_url, "select balance from withdraw(1, 50)") == 9_700
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        ask(application_url, "update users set balance = 0 returning 1")


def test_a_backup_fills_an_empty_installation_and_the_service_works(
    here: Installation, elsewhere: Installation, tmp_path: Path
) -> None:
    file = tmp_path / "backup"
    assert "Backed up" in here.must("backup", str(file))
    said = elsewhere.must("restore", str(file))
    assert "2 accounts with 10,300 in all, 4 entries" in said
    assert elsewhere.server.running_pid() is None, "it ran for the restore alone"
    elsewhere.server.start()
    works(elsewhere.server.application_url)
    assert migrations.upgrade(elsewhere.server.owner_url, elsewhere.server.application_url) == []
    assert recorded(elsewhere.server.application_url) == "database.backup begun, database.restore done"
    assert recorded(here.server.application_url) == "database.backup begun, database.backup done"


def test_a_backup_fills_an_external_database_with_its_owner_and_rights(
    here: Installation, external: External, tmp_path: Path
) -> None:
    here.must("backup", str(tmp_path / "backup"))
    url = external.url_of(external.owner)
    said = here.must("restore", str(tmp_path / "backup"), "--url", url, "--role", external.clerk)
    assert "every balance is the sum of its entries" in said
    owners = ask(
        external.url, "select string_agg(distinct tableowner, ',') from pg_tables where schemaname = 'public'"
    )
    assert owners == external.owner
    works(external.url_of(external.clerk))


def test_the_way_back_is_a_backup_of_the_external_database_and_a_restore_here(
    database, elsewhere: Installation, tmp_path: Path
) -> None:
    """Also from a server of an older version and of a newer minor release, such as Debian's 15."""
    with database.connect() as connection:
        connection.execute("select * from withdraw(1, 250)")
    urls = {
        "RINGFENCE_DATABASE__URL": database.direct_url,
        "RINGFENCE_DATABASE__OWNER_URL": database.owner_url,
    }
    elsewhere.must("backup", str(tmp_path / "backup"), **urls)
    said = elsewhere.must("restore", str(tmp_path / "backup"))
    assert "1 accounts with 9,750 in all, 2 entries" in said


def test_a_role_that_is_missing_is_made_or_named_with_the_statement_that_makes_it(
    here: Installation, external: External, tmp_path: Path
) -> None:
    file = str(tmp_path / "backup")
    here.must("backup", file)
    refused = here.run("restore", file, "--url", external.url_of(external.owner), "--role", external.newcomer)
    assert refused.returncode == 1
    assert f'create role "{external.newcomer}" login password' in refused.stderr
    assert ask(external.url, "select count(*) from pg_class where relnamespace = 'public'::regnamespace") == 0
    here.must("restore", file, "--url", external.url, "--role", external.newcomer)
    works(external.url_of(external.newcomer))


def test_a_database_that_is_not_empty_is_refused_and_stays_as_it_is(
    here: Installation, external: External, tmp_path: Path
) -> None:
    file = str(tmp_path / "backup")
    here.must("backup", file)
    for arguments in (["restore", file], ["restore", file, "--url", external.url]):
        if "--url" in arguments:
            with psycopg.connect(external.url, autocommit=True) as connection:
                connection.execute("create view mine as select 42 as answer")
        refused = here.run(*arguments)
        assert refused.returncode == 1
        assert "is not empty" in refused.stderr and "Traceback" not in refused.stderr
    assert ask(external.url, "select answer from mine") == 42
    assert ask(here.server.application_url, "select balance from users where id = 1") == 9_750


def test_what_is_no_backup_is_refused(here: Installation, elsewhere: Installation, tmp_path: Path) -> None:
    (tmp_path / "letter").write_text("Dear all,\n")
    for file, expected in (("letter", "no backup that can be read"), ("missing", "no such file")):
        refused = elsewhere.run("restore", str(tmp_path / file))
        assert refused.returncode == 1
        assert expected in refused.stderr and "Traceback" not in refused.stderr


def test_half_a_backup_restores_nothing(here: Installation, elsewhere: Installation, tmp_path: Path) -> None:
    file = tmp_path / "backup"
    here.must("backup", str(file))
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) * 9 // 10])
    refused = elsewhere.run("restore", str(file))
    assert refused.returncode == 1 and "Traceback" not in refused.stderr
    elsewhere.server.start()
    tables = "select count(*) from pg_class where relnamespace = 'public'::regnamespace"
    assert ask(elsewhere.server.superuser_url, tables) == 0


def test_an_older_backup_is_migrated_and_a_newer_one_refused(
    here: Installation, elsewhere: Installation, tmp_path: Path
) -> None:
    migrations.downgrade(here.server.owner_url, "0002")
    here.must("backup", str(tmp_path / "older"))
    migrations.upgrade(here.server.owner_url, here.server.application_url)
    with psycopg.connect(here.server.owner_url, autocommit=True) as connection:
        connection.execute("update alembic_version set version_num = '9999'")
    here.must("backup", str(tmp_path / "newer"))
    refused = elsewhere.run("restore", str(tmp_path / "newer"))
    assert refused.returncode == 1 and "newer than this version" in refused.stderr
    elsewhere.must("restore", str(tmp_path / "older"))
    elsewhere.server.start()
    works(elsewhere.server.application_url)


def test_a_backup_is_one_moment_of_a_database_in_use_and_replaces_an_older_file_whole(
    here: Installation, elsewhere: Installation, tmp_path: Path
) -> None:
    file = tmp_path / "backup"
    file.write_bytes(b"an older one")
    done = threading.Event()

    def withdraw() -> None:
        with psycopg.connect(here.server.application_url, autocommit=True) as connection:
            while not done.is_set():
                connection.execute("select * from withdraw(1, 1)")

    busy = threading.Thread(target=withdraw)
    busy.start()
    try:
        here.must("backup", str(file))
    finally:
        done.set()
        busy.join()
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["backup"]
    assert file.stat().st_mode & 0o077 == 0
    assert "every balance is the sum of its entries" in elsewhere.must("restore", str(file))


def test_a_backup_that_fails_leaves_the_older_file_and_no_other(here: Installation, tmp_path: Path) -> None:
    file = tmp_path / "backup"
    file.write_bytes(b"an older one")
    with psycopg.connect(here.server.superuser_url, autocommit=True) as connection:
        connection.execute("create table hidden as select 1 as one")
        connection.execute("revoke all on hidden from public")
    refused = here.run("backup", str(file))
    assert refused.returncode == 1
    assert "pg_dump failed" in refused.stderr and "hidden" in refused.stderr
    assert file.read_bytes() == b"an older one"
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["backup"]


def test_without_a_database_there_is_nothing_to_back_up(elsewhere: Installation, tmp_path: Path) -> None:
    refused = elsewhere.run("backup", str(tmp_path / "backup"))
    assert refused.returncode == 1 and "no database yet" in refused.stderr
    assert not elsewhere.server.data_folder.exists()


def test_a_move_brings_everything_to_another_server_and_says_what_to_set(
    here: Installation, external: External
) -> None:
    here.server.stop()
    url = make_conninfo(external.url, password="secret")
    said = here.must("db", "move", url, "--role", external.clerk)
    assert "2 accounts with 10,300 in all, 4 entries" in said
    assert "database:" in said and "password=…" in said and "secret" not in said
    application_url = external.url_of(external.clerk)
    variables = {"RINGFENCE_DATABASE__URL": application_url, "RINGFENCE_DATABASE__OWNER_URL": external.url}
    assert "up to date" in here.must("migrate", **variables)
    assert json.loads(here.must("ledger", "check", "--json", **variables))["entries"] == 4
    works(application_url)
    here.server.start()
    assert recorded(application_url) == "database.move begun, database.move done"
    assert recorded(here.server.application_url) == "database.move begun", "it went on there"
    assert ask(here.server.application_url, "select balance from users where id = 1") == 9_750


def test_a_move_waits_for_nobody_and_names_who_is_connected(here: Installation, external: External) -> None:
    with psycopg.connect(here.server.application_url, application_name="a person"):
        refused = here.run("db", "move", external.url)
    assert refused.returncode == 1
    assert "somebody is connected" in refused.stderr and "a person (1)" in refused.stderr
    assert ask(external.url, "select count(*) from pg_class where relnamespace = 'public'::regnamespace") == 0
