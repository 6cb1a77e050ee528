"""Migrations: forward, back, once, and the same as the tables that the code reads."""

import subprocess
import sys

import psycopg
import pytest
from alembic import command

from server.errors import SchemaMismatchError
from server.postgres import migrations
from server.postgres.schema import found_schema, newest_revision

OBJECTS = """
select array_agg(what order by what)
  from (
      select c.relname::text as what from pg_class as c where c.relnamespace = 'public'::regnamespace
       union all
      select p.oid::regprocedure::text || ' ' || md5(p.prosrc) from pg_proc as p where p.pronamespace = 'public'::regnamespace
  ) as objects
 where what not like 'alembic_version%%'
"""


def revision(database) -> str | None:
    with database.connect_as_owner() as connection:
        found = found_schema(connection)
        return found.revision if found else None


def objects(database) -> list[str] | None:
    with database.connect_as_owner() as connection:
        return connection.execute(OBJECTS).fetchone()[0]


def upgrade_to(database, number: str) -> None:
    with migrations.engine(database.owner_url).begin() as connection:
        migrations._run(connection, "upgrade", number)


def test_the_first_migration_makes_one_account_of_10000_with_its_opening_entry(database):
    with database.connect() as connection:
        assert connection.execute("select id, balance from users").fetchall() == [(1, 10_000)]
        assert connection.execute("select user_id, amount, balance_after from entries").fetchall() == [
            (1, 10_000, 10_000)
        ]


def test_migrations_go_down_to_nothing_and_up_again(empty_database):
    migrations.upgrade(empty_database.owner_url, empty_database.application_url)
    before = objects(empty_database)
    migrations.downgrade(empty_database.owner_url, "base")
    assert objects(empty_database) is None
    assert revision(empty_database) is None
    migrations.upgrade(empty_database.owner_url, empty_database.application_url)
    assert objects(empty_database) == before


def test_each_migration_can_be_taken_back_by_itself(empty_database):
    for number in range(1, int(newest_revision()) + 1):
        before = objects(empty_database)
        upgrade_to(empty_database, f"{number:04}")
        migrations.downgrade(empty_database.owner_url, f"{number - 1:04}" if number > 1 else "base")
        assert objects(empty_database) == before
        upgrade_to(empty_database, f"{number:04}")


def test_alembic_finds_no_drift_between_the_metadata_and_the_database(database):
    with migrations.engine(database.owner_url).connect() as connection:
        config = migrations.alembic_config()
        config.attributes["connection"] = connection
        command.check(config)


def test_alembics_own_command_works_from_the_top_of_the_checkout(database, project):
    done = subprocess.run(
        [sys.executable, "-m", "alembic", "check"],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
        env={
            "RINGFENCE_DATABASE__URL": database.application_url,
            "PATH": "/usr/bin:/bin",
            "RINGFENCE_DATABASE__OWNER_URL": database.owner_url,
        },
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No new upgrade operations detected" in done.stdout


def test_six_migrators_on_an_empty_database_migrate_it_once(empty_database):
    # In processes, as six nodes would: alembic itself is not made for threads.
    program = "import sys; from server.postgres.migrations import upgrade; upgrade(sys.argv[1], sys.argv[2])"
    starters = [
        subprocess.Popen(
            [sys.executable, "-c", program, empty_database.owner_url, empty_database.application_url]
        )
        for _ in range(6)
    ]
    assert [process.wait(timeout=60) for process in starters] == [0] * 6
    assert revision(empty_database) == newest_revision()
    with empty_database.connect() as connection:
        assert connection.execute("select count(*) from users").fetchone() == (1,)


def test_who_sees_the_new_revision_has_the_rights_that_belong_to_it(empty_database):
    # In one transaction: a migrator that can't give the rights leaves no schema behind.
    stranger = empty_database.application_url.replace("user=ringfence", "user=ringfence_stranger")
    assert stranger != empty_database.application_url
    with pytest.raises(psycopg.errors.UndefinedObject):
        migrations.upgrade(empty_database.owner_url, stranger)
    assert revision(empty_database) is None
    assert objects(empty_database) is None


def test_the_application_has_its_rights_after_any_number_of_migrators_at_one_moment(database):
    # "tuple concurrently updated" is what PostgreSQL says to two who grant at once.
    program = "import sys; from server.postgres.migrations import upgrade; [upgrade(*sys.argv[1:]) for _ in range(20)]"
    migrators = [
        subprocess.Popen([sys.executable, "-c", program, database.owner_url, database.application_url])
        for _ in range(4)
    ]
    assert [process.wait(timeout=60) for process in migrators] == [0] * 4
    with database.connect() as connection:
        assert connection.execute("select balance from withdraw(1, 1)").fetchone() == (9_999,)


def test_the_application_may_call_the_functions_and_write_no_table(database):
    with database.connect() as connection:
        assert connection.execute("select balance from withdraw(1, 1)").fetchone() == (9_999,)
        rights = connection.execute(
            "select c.relname from pg_class as c where c.relnamespace = 'public'::regnamespace and c.relkind = 'r'"
            " and has_table_privilege(c.oid, 'insert, update, delete, truncate')"
        ).fetchall()
        assert rights == []
        internal = connection.execute(
            "select p.proname from pg_proc as p where p.pronamespace = 'public'::regnamespace"
            " and has_function_privilege(p.oid, 'execute') and not p.prosecdef"
        ).fetchall()
        assert internal == []


def test_every_function_has_a_pinned_search_path(database):
    with database.connect() as connection:
        loose = connection.execute(
            "select p.proname from pg_proc as p where p.pronamespace = 'public'::regnamespace"
            " and not coalesce(p.proconfig, '{}') && array['search_path=pg_catalog, public, pg_temp']"
        ).fetchall()
        assert loose == []


def test_a_role_that_may_not_make_the_tables_is_told_which_setting_names_the_one_that_may(empty_database):
    with pytest.raises(SchemaMismatchError, match="the role ringfence may not make the tables") as caught:
        migrations.upgrade(empty_database.application_url)
    assert "database.owner_url" in str(caught.value)
    assert "permission denied for schema public" in str(caught.value)
