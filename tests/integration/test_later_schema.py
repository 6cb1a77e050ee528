"""Two releases and one database: which of them goes on, and what each command says of it."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest
import structlog
from fleet import free_ports
from later_release import REVISION, LaterRelease, variables_for
from structlog.testing import capture_logs

from server.cli import migrate as cli
from server.cli.migrate import migrate, migrate_back, schema_status
from server.errors import DatabaseUnavailableError, SchemaMismatchError
from server.postgres import migrations
from server.postgres.preparation import prepare_schema
from server.postgres.schema import found_schema, newest_revision
from server.postgres.schema_fit import Schema
from server.settings import Database, Settings

OWN = newest_revision()


@pytest.fixture
def later(tmp_path) -> LaterRelease:
    return LaterRelease(tmp_path / "later")


@pytest.fixture(autouse=True)
def loud(monkeypatch) -> None:
    """The commands are called in this process, whose other tests read the log."""
    monkeypatch.setattr(cli, "quiet_log", lambda: None)


def schema_of(database) -> Schema | None:
    # As the role of the service, which must be able to read it.
    with database.connect() as connection:
        return found_schema(connection)


def settings_for(database, tmp_path, **changes) -> Settings:
    urls = {"url": database.application_url, "owner_url": database.owner_url}
    return Settings(home=tmp_path, source="test", database=Database(**urls, **changes))


def prepare(database, tmp_path, **changes) -> list[str]:
    """The warnings of a node of the present release that starts."""
    with capture_logs() as logs:
        prepare_schema(settings_for(database, tmp_path, **changes), lambda: False)
    return [line["event"] for line in logs if line["log_level"] == "warning"]


def test_a_migrated_database_says_which_code_works_on_it(database):
    found = schema_of(database)
    assert found is not None
    assert found.revision == OWN
    assert found.compatible_from is not None and found.compatible_from <= OWN


def test_on_a_newer_schema_that_allows_it_this_release_starts_says_so_and_changes_nothing(
    database, later, tmp_path
):
    later.add_migration(compatible_from=OWN)
    done = later.run("migrate", **variables_for(database))
    assert done.stdout.strip() == f"Migrated: {REVISION}", done.stderr
    assert "restart them now" not in done.stderr
    assert schema_of(database) == Schema(REVISION, OWN)

    (warning,) = prepare(database, tmp_path)
    assert REVISION in warning and OWN in warning
    assert migrations.upgrade(database.owner_url, database.application_url) == []
    assert schema_of(database) == Schema(REVISION, OWN)


def test_on_a_newer_schema_that_does_not_this_release_is_refused_with_the_command(database, later, tmp_path):
    later.add_migration(compatible_from=REVISION)
    done = later.run("migrate", **variables_for(database))
    # Told to whoever migrates, since the nodes that run can't be asked.
    assert "restart them now" in done.stderr
    for refuse in (
        lambda: prepare(database, tmp_path),
        lambda: migrations.upgrade(database.owner_url, database.application_url),
    ):
        with pytest.raises(SchemaMismatchError, match=f"ringfence migrate --to {OWN}"):
            refuse()
    back = later.run("migrate", "--to", OWN, **variables_for(database))
    assert back.returncode == 0, back.stderr
    assert prepare(database, tmp_path) == []


def test_on_an_older_schema_it_migrates_or_names_the_command_where_it_may_not(database, tmp_path):
    migrations.downgrade(database.owner_url, "0005")
    with pytest.raises(SchemaMismatchError, match="run `ringfence migrate`"):
        prepare(database, tmp_path, migrate=False)
    assert schema_of(database) == Schema("0005", "0001")
    prepare(database, tmp_path)
    found = schema_of(database)
    assert found is not None and found.revision == OWN


def test_a_node_waits_for_a_table_that_somebody_holds_when_it_migrates(database, tmp_path, monkeypatch):
    monkeypatch.setattr(migrations, "LOCK_TIMEOUT", "100ms")
    migrations.downgrade(database.owner_url, "0009")
    is_told = threading.Event()

    def wait_for_a_line(_: object, __: str, line: dict) -> dict:
        if line["event"] == "waiting for the database":
            is_told.set()
        raise structlog.DropEvent

    with database.connect_as_owner() as owner, ThreadPoolExecutor(1) as thread:
        owner.execute("begin")
        owner.execute("lock table runs in share row exclusive mode")
        with capture_logs(processors=[wait_for_a_line]):
            preparing = thread.submit(prepare_schema, settings_for(database, tmp_path), lambda: False)
            told = is_told.wait(30)
            owner.execute("rollback")
            preparing.result(30)
    assert told
    assert schema_of(database).revision == OWN


@contextmanager
def held_table(database) -> Iterator[None]:
    """Somebody holds the table of runs, longer than a migration waits for it."""
    with psycopg.connect(database.owner_url) as holder:
        holder.execute("lock table runs in access exclusive mode")
        yield


def test_a_migration_that_meets_a_held_table_gives_up_says_so_and_changes_nothing(
    database, tmp_path, monkeypatch
):
    monkeypatch.setattr(migrations, "LOCK_TIMEOUT", "100ms")
    migrations.downgrade(database.owner_url, "0009")
    settings = settings_for(database, tmp_path)
    for command in (migrate, lambda settings: migrate_back(settings, "0006")):
        with (
            held_table(database),
            pytest.raises(DatabaseUnavailableError, match="Nothing has changed: repeat"),
        ):
            command(settings)
        assert schema_of(database) == Schema("0009", "0001")
    assert migrate(settings).startswith("Migrated: 0010")


def test_where_nobody_answers_the_commands_say_which_setting_names_the_database(tmp_path):
    nobody = Database(url=f"postgresql://ringfence@127.0.0.1:{free_ports(1)}/ringfence", one_role=True)
    settings = Settings(home=tmp_path, source="test", database=nobody)
    for command in (migrate, schema_status, lambda settings: migrate_back(settings, "0006")):
        with pytest.raises(DatabaseUnavailableError, match=r"database\.url: can't connect: .*refused"):
            command(settings)


def test_a_migration_that_does_not_say_who_works_on_it_is_not_run(database, later):
    later.add_migration(compatible_from=None)
    done = later.run("migrate", **variables_for(database))
    assert done.returncode == 1
    assert "compatible_from" in done.stderr
    found = schema_of(database)
    assert found is not None and found.revision == OWN


def test_the_commands_say_how_schema_and_release_fit(database, later, empty_database):
    def checked(release: LaterRelease, one) -> tuple[int, str]:
        done = release.run("migrate", "--check", **variables_for(one))
        return done.returncode, done.stdout

    code, said = checked(later, empty_database)
    assert code == 1 and "no schema yet" in said and "`ringfence migrate`" in said
    assert checked(later, database)[0] == 0
    present = LaterRelease(later.folder.with_name("present"))
    later.add_migration(compatible_from=OWN)
    code, said = checked(later, database)
    assert code == 1 and "`ringfence migrate`" in said
    later.run("migrate", **variables_for(database))
    code, said = checked(present, database)
    assert code == 0 and f"from {OWN} on" in said
    assert f"from {OWN} on" in present.run("migrate", **variables_for(database)).stdout


def test_a_remark_that_somebody_wrote_over_allows_nothing(database, tmp_path):
    with database.connect_as_owner() as connection:
        connection.execute("comment on table alembic_version is 'mine'")
        assert found_schema(connection) == Schema(OWN, None)
        connection.execute("update alembic_version set version_num = '9999'")
    with pytest.raises(SchemaMismatchError, match="does not say"):
        prepare(database, tmp_path)


def test_a_backup_carries_which_code_works_on_it(database, tmp_path):
    file = tmp_path / "backup"
    present = LaterRelease(tmp_path / "present")
    assert present.run("backup", str(file), **variables_for(database)).returncode == 0
    before = schema_of(database)
    with psycopg.connect(database.owner_url, autocommit=True) as connection:
        connection.execute("drop schema public cascade")
        connection.execute("create schema public")
    done = present.run("restore", str(file), **variables_for(database))
    assert done.returncode == 0, done.stderr
    assert schema_of(database) == before
