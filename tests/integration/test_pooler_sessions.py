"""Connections through PgBouncer in transaction mode: their settings hold, and nothing stays behind."""

import asyncio
import subprocess
import sys

import psycopg
import pytest
from later_release import LaterRelease, variables_for
from pooler import as_superuser, remains, several_sessions
from psycopg import sql
from wire import Wire

from server.jobs.session import ONLY_READ
from server.money.ledger_check import check_ledger
from server.postgres.connections import Database
from server.postgres.faults import ConnectFailedError
from server.postgres.profile import Profile
from server.postgres.schema import found_schema, newest_revision
from server.postgres.sessions import TimedAsyncConnection, TimedConnection

QUESTION = """
select pg_backend_pid() as pid,
       current_setting('statement_timeout') as statement_timeout,
       current_setting('synchronous_commit') as synchronous_commit,
       current_setting('timezone') as timezone,
       current_setting('client_connection_check_interval') as check_interval,
       current_setting('transaction_isolation') as isolation
"""
SETTINGS = {"statement_timeout": "1234ms", "synchronous_commit": "off"}
HELD = ("1234ms", "off", "UTC", "1s", "read committed")
TIMES = 20


@pytest.fixture(autouse=True)
def of_several_sessions(database) -> None:
    several_sessions(database)


def profile(url: str, **how) -> Profile:
    return Profile(url, "session of a test", **{"settings": SETTINGS} | how)


def test_the_settings_of_a_blocking_connection_hold_in_every_session_and_stay_in_none(database):
    with TimedConnection.open(profile(database.application_url)) as connection:
        assert connection.is_pooled
        rows = [connection.execute(QUESTION).fetchone() for _ in range(TIMES)]
    assert {tuple(row[1:]) for row in rows} == {HELD}
    assert len({row.pid for row in rows}) > 1, "one session alone proves nothing"
    left = remains(database)
    assert {row.pid for row in rows} <= left.sessions
    assert (left.settings, left.prepared) == (set(), 0)


@pytest.mark.gen_test
async def test_what_the_commit_itself_is_refused_for_is_told_as_what_it_is(database):
    """As by a deferred trigger; the driver alone would tell of a connection that was lost."""
    with database.connect_as_owner() as owner:
        owner.execute("create table held_to_it (one integer)")
        owner.execute("grant insert on held_to_it to ringfence")
        owner.execute(
            """create function refuse() returns trigger language plpgsql as
               $$ begin raise exception 'at the very end' using errcode = '42501'; end $$"""
        )
        owner.execute(
            """create constraint trigger refuse after insert on held_to_it
                 deferrable initially deferred for each row execute function refuse()"""
        )
    insert = "insert into held_to_it values (1)"
    async with await TimedAsyncConnection.open(profile(database.application_url)) as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="at the very end"):
            await connection.execute(insert)
        assert connection.closed
    with TimedConnection.open(profile(database.application_url)) as blocking:
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="at the very end"):
            blocking.execute(insert)
        assert blocking.closed


@pytest.mark.gen_test
async def test_the_same_of_a_connection_in_the_loop(database):
    async with await TimedAsyncConnection.open(profile(database.application_url)) as connection:
        assert connection.is_pooled
        rows = [await (await connection.execute(QUESTION)).fetchone() for _ in range(TIMES)]
        await connection.change_settings({"statement_timeout": "4321ms"})
        changed = [await (await connection.execute(QUESTION)).fetchone() for _ in range(TIMES)]
    assert {tuple(row[1:]) for row in rows} == {HELD}
    assert {tuple(row[1:]) for row in changed} == {("4321ms", *HELD[1:])}
    assert len({row.pid for row in rows}) > 1, "one session alone proves nothing"
    assert (remains(database).settings, remains(database).prepared) == (set(), 0)


@pytest.mark.gen_test
async def test_the_settings_hold_in_a_transaction_of_several_statements(database):
    async with await TimedAsyncConnection.open(
        profile(database.application_url), autocommit=False
    ) as connection:
        for _ in range(TIMES):
            first = await (await connection.execute(QUESTION)).fetchone()
            second = await (await connection.execute(QUESTION)).fetchone()
            assert first == second
            assert tuple(first[1:]) == HELD
            await connection.commit()
    assert remains(database).settings == set()


@pytest.mark.gen_test
async def test_a_direct_connection_has_them_in_its_session(database):
    async with await TimedAsyncConnection.open(profile(database.direct_url)) as connection:
        assert not connection.is_pooled
        rows = [await (await connection.execute(QUESTION)).fetchone() for _ in range(3)]
        await connection.change_settings({"statement_timeout": "4321ms"})
        rows.append(await (await connection.execute(QUESTION)).fetchone())
    assert [row.statement_timeout for row in rows] == ["1234ms"] * 3 + ["4321ms"]
    assert {tuple(row[2:]) for row in rows} == {HELD[1:]}
    assert len({row.pid for row in rows}) == 1


@pytest.mark.gen_test
async def test_a_statement_beyond_its_time_is_ended_by_the_server_and_the_connection_goes_on(database):
    async with await TimedAsyncConnection.open(
        profile(database.application_url, settings={"statement_timeout": "100ms"})
    ) as connection:
        with pytest.raises(psycopg.errors.QueryCanceled):
            await connection.execute("select pg_sleep(30)")
        with pytest.raises(psycopg.errors.DivisionByZero):
            await connection.execute("select 1 / 0")
        row = await (await connection.execute("select 1 as one")).fetchone()
        assert row.one == 1


@pytest.mark.gen_test
async def test_a_pooler_that_falls_silent_is_given_up_at_the_deadline(database):
    with Wire(database.application_url) as wire:
        connection = await TimedAsyncConnection.open(profile(wire.url, call_seconds_max=1.0))
        assert connection.is_pooled
        await connection.execute("select 1")
        wire.silence()
        async with asyncio.timeout(20):
            with pytest.raises(psycopg.OperationalError, match="within 1 s"):
                await connection.execute("select 1")
        assert connection.closed
        wire.heal()


def test_a_blocking_call_over_a_pooler_that_falls_silent_ends_as_well(database):
    with Wire(database.application_url) as wire:
        connection = TimedConnection.open(profile(wire.url, call_seconds_max=1.0))
        wire.silence()
        with pytest.raises(psycopg.OperationalError, match="within 1 s"):
            connection.execute("select 1")
        assert connection.closed
        wire.heal()


def test_transactions_that_begin_otherwise_than_the_service_needs_are_refused_with_the_remedy(
    empty_database, server
):
    with psycopg.connect(server, autocommit=True) as superuser:
        superuser.execute(
            sql.SQL("alter database {} set default_transaction_isolation = 'serializable'").format(
                sql.Identifier(empty_database.name)
            )
        )
    with pytest.raises(ConnectFailedError, match="alter role"):
        TimedConnection.open(profile(empty_database.application_url))
    with TimedConnection.open(profile(empty_database.direct_url)) as connection:
        assert connection.execute(QUESTION).fetchone().isolation == "read committed"


@pytest.mark.gen_test
async def test_what_a_job_only_reads_by_leaves_no_session_that_only_reads(database):
    async with await TimedAsyncConnection.open(profile(database.application_url)) as connection:
        await connection.change_settings(ONLY_READ)
        for _ in range(TIMES):
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                await connection.execute("select balance from withdraw(1, 1)")
    assert remains(database).settings == set()
    pool = Database(database.application_url, connections=1, name="pool of a test")
    await pool.open()
    balances = [(await pool.row("select balance from withdraw(1, 1)")).balance for _ in range(TIMES)]
    assert balances == [10_000 - n for n in range(1, TIMES + 1)]
    await pool.close()


@pytest.mark.gen_test
async def test_the_ledger_is_checked_through_it(database):
    assert (await check_ledger(database.application_url)).is_sound


# Migrations, backups


def test_six_migrate_an_empty_database_through_it_at_one_moment_and_leave_no_lock(empty_database, server):
    through = as_superuser(empty_database, server)
    program = "import sys; from server.postgres.migrations import upgrade; upgrade(sys.argv[1], sys.argv[2])"
    migrators = [
        subprocess.Popen([sys.executable, "-c", program, through, empty_database.application_url])
        for _ in range(6)
    ]
    assert [process.wait(timeout=120) for process in migrators] == [0] * 6
    with empty_database.connect() as connection:
        found = found_schema(connection)
        assert found is not None and found.revision == newest_revision()
        held = "select count(*) from pg_locks where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())"
        assert connection.execute(held).fetchone() == (0,)
        assert connection.execute("select balance from withdraw(1, 1)").fetchone() == (9_999,)


def test_a_backup_and_a_restore_through_it_are_refused_and_leave_nothing(database, server, tmp_path):
    present = LaterRelease(tmp_path / "present")
    variables = variables_for(database) | {"RINGFENCE_DATABASE__OWNER_URL": as_superuser(database, server)}
    file = tmp_path / "backup"
    refused = present.run("backup", str(file), **variables)
    assert refused.returncode == 1 and "past it" in refused.stderr
    assert present.run("backup", str(file), **variables_for(database)).returncode == 0
    refused = present.run("restore", str(file), **variables)
    assert refused.returncode == 1 and "past it" in refused.stderr
    assert remains(database).settings == set()
