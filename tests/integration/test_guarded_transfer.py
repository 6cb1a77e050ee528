"""The transfers that docs/jobs.md shows: exactly once, or not at all."""

import asyncio
import threading

import psycopg
import pytest
from cluster_rows import Cluster
from page_code import module_of

from server.cron.catalogue import Catalogue
from server.cron.context import AsyncContext, Context, RunSpec
from server.errors import RunLostError, UnguardedError
from server.settings import Settings, TaskSettings

PAYER, AMOUNT = 1, 100


class Link:
    """Of a job that nobody stops."""

    cancelled = threading.Event()

    def progress(self, report) -> None:
        pass


@pytest.fixture
def paying(database, tmp_path):
    """Two nodes, and a task that is due; a second account with nothing."""
    cluster = Cluster(database)
    cluster.join("node-1", "node-2", tasks=("payment",))
    tasks = {"payment": TaskSettings(function="pay:pay", every=60.0)}
    cluster.define(Catalogue.from_settings(Settings(home=tmp_path, source="test", tasks=tasks)))
    cluster.payee = cluster.one("select open_account(0)")
    yield cluster
    cluster.connection.close()


def context(cluster, run_id: int, kind=Context):
    return kind(
        RunSpec(run_id, "payment", "node-1", "pay:pay", {}, "/", "/", cluster.database.application_url),
        Link(),
    )


def balances(cluster) -> tuple[int, int]:
    return tuple(
        cluster.one("select balance from users where id = %s", user) for user in (PAYER, cluster.payee)
    )


def bury(cluster, node: str) -> None:
    cluster.one("select declare_dead(%s, %s, 'a test said so')", node, cluster.incarnations[node])


def test_a_statement_of_a_job_ends_at_its_deadline_and_its_connection_with_it(paying):
    job = context(paying, paying.start("payment", "node-1"))
    with job.connect(call_seconds_max=0.5) as connection:
        with pytest.raises(psycopg.OperationalError, match=r"within 0\.5 s"):
            connection.execute("select pg_sleep(30)")
        assert connection.closed


def test_a_statement_of_a_coroutine_ends_at_its_deadline_as_well(paying):
    async def work() -> None:
        job = context(paying, paying.start("payment", "node-1"), AsyncContext)
        async with await job.connect(call_seconds_max=0.5) as connection:
            with pytest.raises(psycopg.OperationalError, match=r"within 0\.5 s"):
                await connection.execute("select pg_sleep(30)")
            assert connection.closed

    asyncio.run(work())


@pytest.mark.parametrize("module", ["pay", "pay_once"])
def test_a_repeated_call_in_one_run_moves_nothing_twice(paying, module):
    pay = module_of("jobs.md", module).pay
    run = context(paying, paying.start("payment", "node-1"))
    assert {pay(run, PAYER, paying.payee, AMOUNT)["paid"] for _ in range(3)} == {AMOUNT}
    assert balances(paying) == (10_000 - AMOUNT, AMOUNT)


def test_each_run_moves_its_own(paying):
    pay = module_of("jobs.md", "pay").pay
    for _ in range(3):
        run_id = paying.start("payment", "node-1")
        pay(context(paying, run_id), PAYER, paying.payee, AMOUNT)
        paying.finish(run_id, "node-1")
        paying.one("select run_task('payment')")
    assert balances(paying) == (10_000 - 3 * AMOUNT, 3 * AMOUNT)


@pytest.mark.parametrize("module", ["pay", "pay_once"])
def test_the_transfer_of_a_lost_run_is_refused_and_its_successors_counts(paying, module):
    pay = module_of("jobs.md", module).pay
    lost = paying.start("payment", "node-1")
    bury(paying, "node-1")
    with pytest.raises(RunLostError):
        pay(context(paying, lost), PAYER, paying.payee, AMOUNT)
    assert balances(paying) == (10_000, 0)
    successor = paying.start("payment", "node-2")
    assert successor > lost
    pay(context(paying, successor), PAYER, paying.payee, AMOUNT)
    with pytest.raises(RunLostError):
        pay(context(paying, lost), PAYER, paying.payee, AMOUNT)
    assert balances(paying) == (10_000 - AMOUNT, AMOUNT)


def test_a_run_is_not_taken_away_between_its_guard_and_its_commit(paying):
    lost = context(paying, paying.start("payment", "node-1"))
    with lost.connect() as connection:
        lost.guard(connection)
        connection.execute("select withdraw(%s, %s, gen_random_uuid())", [PAYER, AMOUNT])
        burial = threading.Thread(target=bury, args=(paying, "node-1"))
        burial.start()
        with paying.database.connect() as watcher:
            while not watcher.execute("select count(*) from pg_locks where not granted").fetchone()[0]:
                assert burial.is_alive(), "it must wait for the commit"
    burial.join(10)
    assert paying.one("select status from runs where id = %s", lost.run_id) == "lost"
    assert balances(paying) == (10_000 - AMOUNT, 0)


def test_a_transfer_that_is_refused_half_way_moves_nothing(paying):
    pay = module_of("jobs.md", "pay").pay
    run = context(paying, paying.start("payment", "node-1"))
    with pytest.raises(psycopg.Error):
        pay(run, PAYER, 4_711, AMOUNT)
    with pytest.raises(psycopg.errors.CheckViolation):
        pay(run, PAYER, paying.payee, 10_001)
    assert balances(paying) == (10_000, 0)


def test_a_transfer_whose_node_died_after_the_commit_is_not_repeated_by_the_successor(paying):
    pay = module_of("jobs.md", "pay_once").pay
    lost = paying.start("payment", "node-1")
    assert pay(context(paying, lost), PAYER, paying.payee, AMOUNT) == {"paid": AMOUNT, "for": lost}
    bury(paying, "node-1")
    successor = paying.start("payment", "node-2")
    assert pay(context(paying, successor), PAYER, paying.payee, AMOUNT) == {"paid": AMOUNT, "for": lost}
    assert balances(paying) == (10_000 - AMOUNT, AMOUNT)
    paying.finish(successor, "node-2")
    paying.one("select run_task('payment')")
    another_time = paying.start("payment", "node-2")
    pay(context(paying, another_time), PAYER, paying.payee, AMOUNT)
    assert balances(paying) == (10_000 - 2 * AMOUNT, 2 * AMOUNT)


def test_a_guard_outside_a_transaction_is_refused(paying):
    run = context(paying, paying.start("payment", "node-1"))
    with run.connect() as connection:
        connection.autocommit = True
        with pytest.raises(UnguardedError):
            run.guard(connection)
        with connection.transaction():
            run.guard(connection)


def test_a_coroutine_guards_its_transaction_alike(paying):
    run = context(paying, paying.start("payment", "node-1"), AsyncContext)

    async def transfer() -> None:
        async with await run.connect() as connection:
            await run.guard(connection)
            await connection.execute("select withdraw(%s, %s, gen_random_uuid())", [PAYER, AMOUNT])

    async def unguarded() -> None:
        async with await run.connect() as connection:
            await connection.set_autocommit(True)
            await run.guard(connection)

    asyncio.run(transfer())
    assert balances(paying) == (10_000 - AMOUNT, 0)
    with pytest.raises(UnguardedError):
        asyncio.run(unguarded())
    bury(paying, "node-1")
    with pytest.raises(RunLostError):
        asyncio.run(transfer())
    assert balances(paying) == (10_000 - AMOUNT, 0)
