"""The jobs that ask the database, against a real PostgreSQL with the application's rights."""

import asyncio
import csv
import gzip
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from fleet import wait_until
from psycopg.rows import tuple_row

from server.jobs import balances, bloat, history, hourly_volume, reconciliation, session
from server.postgres.profile import Profile
from server.postgres.sessions import TimedAsyncConnection

SHORT_SECONDS = 0.05


@dataclass
class LocalContext:
    """A coroutine job's context in this very process."""

    url: str
    var: Path
    scratch: Path
    run_id: int = 7
    task: str = "a-task"
    node: str = "node-1"
    cancelled: bool = False
    reports: list[tuple[float, float, str]] = field(default_factory=list)
    on_progress: Callable[[], None] = lambda: None
    connections: list[psycopg.AsyncConnection[Any]] = field(default_factory=list)

    def progress(self, done: float, total: float, message: str = "") -> None:
        self.reports.append((done, total, message))
        self.on_progress()

    async def sleep(self, seconds: float) -> None:
        for connection in self.connections:
            status = connection.info.transaction_status
            idle = status == psycopg.pq.TransactionStatus.IDLE
            assert connection.closed or idle, "no transaction may stay open over a pause"
        await asyncio.sleep(seconds)

    async def connect(self) -> TimedAsyncConnection:
        connection = await TimedAsyncConnection.open(
            Profile(self.url, "job of a test"), autocommit=False, row_factory=tuple_row
        )
        self.connections = [known for known in self.connections if not known.closed] + [connection]
        return connection


@pytest.fixture
def context(database, tmp_path: Path) -> LocalContext:
    (tmp_path / "scratch").mkdir()
    return LocalContext(database.application_url, tmp_path / "var", tmp_path / "scratch")


@pytest.fixture
def application(database) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database.direct_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def owner(database) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database.owner_url, autocommit=True) as connection:
        yield connection


def move_money(connection: psycopg.Connection[Any], accounts: int, movements: int) -> None:
    """Opens accounts with 100 each, beside account 1, and lets each withdraw 1 several times."""
    connection.execute("select open_account(100) from generate_series(1, %s)", [accounts])
    for _ in range(movements):
        connection.execute("select w.balance from users as u, withdraw(u.id, 1) as w where u.id > 1")


def spoil_balance(owner: psycopg.Connection[Any], user_id: int, change: int) -> None:
    owner.execute("update users set balance = balance + %s where id = %s", [change, user_id])


JOBS: dict[str, Callable[[LocalContext, float], Awaitable[dict[str, Any]]]] = {
    "reconciliation": reconciliation.reconcile_ledger,
    "hourly volume": hourly_volume.ledger_statistics,
    "balances": balances.snapshot_balances,
    "bloat": bloat.check_bloat,
    "history": history.prune_history,
}


@pytest.mark.parametrize("name", JOBS)
def test_a_job_lasts_its_minimum_and_reports_progress_up_to_its_total(name, context):
    async def timed() -> float:
        began = asyncio.get_running_loop().time()
        await JOBS[name](context, 0.4)
        return asyncio.get_running_loop().time() - began

    assert asyncio.run(timed()) >= 0.4
    done = [done / total for done, total, _ in context.reports]
    assert len(done) >= 20
    assert done == sorted(done)
    assert done[-1] == 1.0
    assert all(connection.closed for connection in context.connections)


@pytest.mark.parametrize("name", JOBS)
def test_a_job_outlives_the_loss_of_its_connection(name, context, application):
    def cut() -> None:
        if len(context.reports) == 3:
            ended = application.execute(
                "select pg_terminate_backend(a.pid, 5000) from pg_stat_activity as a"
                " where a.datname = current_database() and a.usename = current_user"
                " and a.pid <> pg_backend_pid()"
            )
            assert ended.fetchall() == [(True,)]

    context.on_progress = cut
    asyncio.run(JOBS[name](context, SHORT_SECONDS))
    assert context.reports[-1][0] == context.reports[-1][1]


@pytest.mark.parametrize("name", JOBS)
def test_a_cancelled_job_ends_at_once_and_leaves_no_connection_and_no_half_file(name, context):
    async def cancelled() -> None:
        reported = asyncio.Event()
        context.on_progress = reported.set
        task = asyncio.ensure_future(JOBS[name](context, 600.0))
        await reported.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert all(connection.closed for connection in context.connections)
    assert not list(context.var.rglob("*.partial"))


def test_a_sound_ledger_reconciles_in_many_passes(context, application):
    move_money(application, accounts=20, movements=3)
    found = asyncio.run(reconciliation.reconcile_ledger(context, SHORT_SECONDS))
    assert found["accounts"] == 21
    assert found["compared"] == 21 * found["passes"] >= 60
    assert found["entriesSummed"] == (1 + 20 * 4) * found["passes"]
    assert (found["differing"], found["differences"]) == (0, [])


def test_accounts_whose_balance_is_not_their_sum_are_named(context, application, owner):
    move_money(application, accounts=5, movements=2)
    spoil_balance(owner, 3, 7)
    owner.execute("insert into users (balance) values (55)")
    found = asyncio.run(reconciliation.reconcile_ledger(context, SHORT_SECONDS))
    assert found["differences"] == [
        {"userId": 3, "balance": 105, "entriesSum": 98},
        {"userId": 7, "balance": 55, "entriesSum": 0},
    ]
    assert found["differing"] == 2 * found["passes"]


def test_an_account_with_more_entries_than_one_statement_takes_is_summed_whole(
    context, application, monkeypatch
):
    monkeypatch.setattr(reconciliation, "ENTRIES_PER_ACCOUNT_MAX", 3)
    move_money(application, accounts=3, movements=8)
    found = asyncio.run(reconciliation.reconcile_ledger(context, SHORT_SECONDS))
    assert found["differing"] == 0
    assert found["entriesSummed"] == (1 + 3 * 9) * found["passes"]


def test_movements_between_snapshot_and_sum_are_no_difference(context, application, monkeypatch):
    sum_entries = reconciliation._sum_entries

    async def late(*arguments: Any) -> int:
        application.execute("select withdraw(1, 1)")
        return await sum_entries(*arguments)

    monkeypatch.setattr(reconciliation, "_sum_entries", late)
    found = asyncio.run(reconciliation.reconcile_ledger(context, SHORT_SECONDS))
    assert (found["compared"], found["differing"]) == (60, 0)


def test_an_empty_ledger_has_nothing_to_reconcile(context, owner):
    owner.execute("delete from users")
    found = asyncio.run(reconciliation.reconcile_ledger(context, SHORT_SECONDS))
    assert (found["accounts"], found["compared"], found["differing"]) == (0, 0, 0)


def test_entries_are_counted_by_hour_in_both_directions(context, application, owner):
    # The opening entry is as old as the database that this one was copied from.
    owner.execute("alter table entries disable trigger entries_are_append_only")
    owner.execute("update entries set created_at = clock_timestamp()")
    owner.execute("alter table entries enable trigger entries_are_append_only")
    add_entries(owner, hours_ago=0, amounts=[500, -20, -30])
    add_entries(owner, hours_ago=2, amounts=[7])
    add_entries(owner, hours_ago=3, amounts=[1_000_000])
    statistics = hourly_volume.ledger_statistics(context, SHORT_SECONDS, hours=3, settle_seconds=0)
    found = asyncio.run(statistics)
    volumes = [(hour["entries"], hour["moneyIn"], hour["moneyOut"]) for hour in found["hours"]]
    assert volumes == [(1, 7, 0), (4, 10_500, 50)], "the opening entry counts, what is too old does not"
    assert (found["entries"], found["lateEntries"]) == (5, 0)


def add_entries(owner: psycopg.Connection[Any], hours_ago: int, amounts: list[int]) -> None:
    """Entries in the middle of an hour that has begun so many hours ago, or just now for 0."""
    for amount in amounts:
        owner.execute(
            "insert into entries (user_id, amount, balance_after, request_id, created_at)"
            " values (1, %s, 10000, %s, case when %s = 0 then clock_timestamp() else"
            " date_trunc('hour', clock_timestamp(), 'UTC') - make_interval(hours => %s, mins => -30) end)",
            [amount, uuid4(), hours_ago, hours_ago],
        )


def test_the_hours_begin_where_the_bisection_finds_them(context, owner):
    owner.execute("delete from users")
    owner.execute("alter table entries disable trigger entries_are_append_only")
    owner.execute("delete from entries")
    owner.execute("alter table entries enable trigger entries_are_append_only")
    owner.execute(
        "insert into entries (user_id, amount, balance_after, request_id, created_at)"
        " select 1, 1, 1, gen_random_uuid(), now() - make_interval(mins => 6000 - n)"
        " from generate_series(1, 6000) as n"
    )
    found = asyncio.run(hourly_volume.ledger_statistics(context, SHORT_SECONDS, hours=5, settle_seconds=0))
    since = datetime.fromisoformat(found["since"])
    rows = owner.execute("select created_at from entries where created_at >= %s", [since]).fetchall()
    expected = Counter(row[0].astimezone(UTC).replace(minute=0, second=0, microsecond=0) for row in rows)
    assert 240 < expected.total() <= 300
    hours = {datetime.fromisoformat(hour["hour"]): hour["entries"] for hour in found["hours"]}
    assert hours == expected


def test_an_empty_ledger_has_no_hours(context, owner):
    owner.execute("alter table entries disable trigger entries_are_append_only")
    owner.execute("delete from entries")
    found = asyncio.run(hourly_volume.ledger_statistics(context, SHORT_SECONDS))
    assert (found["hours"], found["entries"]) == ([], 0)


def test_the_youngest_entries_wait_for_the_next_run(context):
    found = asyncio.run(hourly_volume.ledger_statistics(context, SHORT_SECONDS, settle_seconds=3_000))
    assert found["entries"] == 0


@pytest.mark.parametrize("hours", [0, 745])
def test_hours_out_of_range_are_refused(hours, context):
    with pytest.raises(ValueError, match="hours must be from 1 to 744"):
        asyncio.run(hourly_volume.ledger_statistics(context, SHORT_SECONDS, hours=hours))


def test_a_snapshot_holds_every_balance_and_its_quantiles(context, application):
    move_money(application, accounts=98, movements=1)
    application.execute("select open_account(0)")
    found = asyncio.run(balances.snapshot_balances(context, SHORT_SECONDS))
    assert (found["accounts"], found["emptyAccounts"], found["total"]) == (100, 1, 10_000 + 98 * 99)
    assert found["quantiles"] == {
        "0.01": 0, "0.1": 99, "0.25": 99, "0.5": 99, "0.75": 99, "0.9": 99, "0.99": 99
    }  # fmt: skip
    assert found["accountsByDigits"] == {"1": 1, "2": 98, "5": 1}
    assert {sample["total"] for sample in found["samples"]} == {found["total"]}
    path = context.var / "snapshots" / found["file"]
    with gzip.open(path, "rt") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["id"]) for row in rows] == list(range(1, 101))
    assert sum(int(row["balance"]) for row in rows) == found["total"]
    assert path.stat().st_size == found["fileBytes"]


def test_only_the_newest_snapshots_are_kept(context):
    folder = context.var / "snapshots"
    folder.mkdir(parents=True)
    for day in (1, 2, 3):
        (folder / f"balances-2025010{day}T000000-{day}.csv.gz").touch()
    (folder / ".balances-20250104T000000-4.csv.gz.partial").touch()
    (folder / "mine.txt").touch()
    found = asyncio.run(balances.snapshot_balances(context, SHORT_SECONDS, keep=2))
    assert found["removed"] == 2
    assert sorted(path.name for path in folder.iterdir()) == [
        "balances-20250103T000000-3.csv.gz",
        found["file"],
        "mine.txt",
    ]


def test_a_snapshot_that_does_not_add_up_is_not_kept(context, monkeypatch):
    monkeypatch.setattr(balances.Tally, "add", lambda *_: None)
    with pytest.raises(RuntimeError, match="the file holds 0 accounts with 0"):
        asyncio.run(balances.snapshot_balances(context, SHORT_SECONDS))
    assert list((context.var / "snapshots").iterdir()) == []


def test_no_accounts_make_an_empty_snapshot(context, owner):
    owner.execute("delete from users")
    found = asyncio.run(balances.snapshot_balances(context, SHORT_SECONDS))
    assert (found["accounts"], found["total"], found["quantiles"]) == (0, 0, {})


def test_growth_and_waste_of_tables_and_indexes_are_found(context, application, owner):
    # It would give the pages of deleted rows back, in the moment that it chooses.
    owner.execute("alter table users set (autovacuum_enabled = false)")
    owner.execute("analyze")

    def grow() -> None:
        if len(context.reports) == 2:
            move_money(application, accounts=2_000, movements=1)
            owner.execute("delete from users where id > 100")
            owner.execute("analyze")

    context.on_progress = grow
    found = asyncio.run(bloat.check_bloat(context, SHORT_SECONDS, samples=4))
    tables = {table["table"]: table for table in found["tables"]}
    indexes = {index["index"]: index for index in found["indexes"]}
    assert {"users", "entries", "runs", "events", "nodes", "tasks"} <= tables.keys()
    assert {"entries_pkey", "one_entry_per_request", "entries_by_user"} <= indexes.keys()
    assert tables["entries"]["grownBytes"] > 200_000
    assert tables["entries"]["wasteBytes"] < 0.2 * tables["entries"]["bytes"]
    assert tables["users"]["wasteBytes"] > 0.8 * tables["users"]["bytes"]
    assert indexes["users_pkey"]["wasteBytes"] > 0.5 * indexes["users_pkey"]["bytes"]
    assert indexes["one_entry_per_request"]["table"] == "entries"
    assert tables["nodes"]["wasteBytes"] is None, "never analyzed with rows, so nothing is guessed"


@pytest.fixture(params=["this database", "another database of the server"])
def holder(request, database, empty_database) -> Iterator[psycopg.Connection[Any]]:
    """Somebody who can leave a transaction open, and where."""
    where = database if request.param == "this database" else empty_database
    with psycopg.connect(where.owner_url, autocommit=True) as connection:
        yield connection


def test_who_holds_an_old_snapshot_is_named_whoever_it_is_and_told_when_it_lasts(
    context, application, holder, monkeypatch, capsys
):
    def held() -> dict[str, Any] | None:
        return asyncio.run(bloat.check_bloat(context, SHORT_SECONDS, samples=2))["heldBack"]

    def held_by_the_holder() -> dict[str, Any] | None:
        found = held()
        return found if found and f"session {holder.info.backend_pid} of " in found["by"] else None

    holder.execute("begin")
    holder.execute("select pg_current_xact_id()")  # idle from now on, without a statement or a snapshot
    for _ in range(20):
        application.execute("select withdraw(1, 1)")
    # A server that others use has their transactions, too; they end.
    found = wait_until(held_by_the_holder, 30, "the one that lasts")
    assert found["transactions"] >= 20
    assert capsys.readouterr().out == ""
    monkeypatch.setattr(bloat, "HELD_TRANSACTIONS_MAX", 10)
    held()
    assert "no row that died since can be removed" in capsys.readouterr().out
    holder.execute("rollback")
    assert found["by"] not in str(held())


def test_history_older_than_its_retention_goes_in_batches(context, owner):
    now = datetime.now(UTC)
    for number in range(25):
        ended = now - timedelta(days=40 - number)
        owner.execute(
            "insert into runs (task_name, node_name, incarnation, status, trigger, scheduled_for, started_at,"
            " finished_at, attempt) values ('a', 'node-1', 1, 'succeeded', 'schedule', %s, %s, %s, 1)",
            [ended, ended, ended],
        )
    owner.execute("update events set at = at - interval '35 days' where id <= 20")
    owner.execute(
        "insert into idempotency_keys (client, key, operation, user_id, amount, request_id, outcome, created_at)"
        " select '', 'key ' || n, 'withdraw', 1, -1, gen_random_uuid(), 'user_not_found',"
        " now() - make_interval(hours => n) from generate_series(18, 32) as n"
    )
    found = asyncio.run(history.prune_history(context, SHORT_SECONDS, keep_days=30, rows_max=4))
    assert found["keysDeleted"] == 9
    assert owner.execute("select count(*) from idempotency_keys").fetchone() == (6,), "those of a day"
    assert found["runsDeleted"] == 11
    assert found["batches"] >= 60 + 3
    assert datetime.fromisoformat(found["oldestRunFinishedAt"]) > now - timedelta(days=30)
    assert owner.execute("select count(*) from runs").fetchone() == (14,)


def test_a_reading_session_can_not_write(context, monkeypatch):
    # The server says of a standby the same, and there waiting would help.
    monkeypatch.setattr(session, "PATIENCE_SECONDS", 0)

    async def write() -> None:
        async with session.Session(context) as opened:
            await opened.rows("create table t ()")

    with pytest.raises(psycopg.Error, match=r"read-only|permission denied"):
        asyncio.run(write())


def test_a_mistake_in_a_statement_is_raised_and_not_repeated(context):
    async def ask() -> None:
        async with session.Session(context) as opened:
            await opened.rows("select no_such_column")

    with pytest.raises(psycopg.errors.UndefinedColumn):
        asyncio.run(ask())
    assert len(context.connections) == 1
