"""Events come in commit order, are small, and cost the money path nothing."""

import threading
from contextlib import ExitStack

import psycopg
import pytest
from cluster_rows import Cluster
from ledger_calls import open_accounts

from server.cron.catalogue import Catalogue
from server.settings import Settings

PAYLOAD_BYTES_MAX = 8000  # from which on NOTIFY fails its transaction


def catalogue(tmp_path, *names: str) -> Catalogue:
    task = {"function": "m:f", "every": "1h"}
    values = {"home": tmp_path, "source": "test", "tasks": dict.fromkeys(names, task)}
    return Catalogue.from_settings(Settings.model_validate(values))


@pytest.fixture
def cluster(database):
    found = Cluster(database)
    yield found
    found.connection.close()


def test_who_reads_on_from_the_last_id_misses_no_event_of_eight_writers(cluster, database, tmp_path):
    names = [f"task-{number}" for number in range(8)]
    cluster.define(catalogue(tmp_path, *names))
    written = threading.Event()

    def write(name: str) -> None:
        with database.connect() as connection:
            for _ in range(50):
                connection.execute("select pause_task(%s)", [name])
                connection.execute("select resume_task(%s, null)", [name])

    writers = [threading.Thread(target=write, args=(name,)) for name in names]
    seen: list[int] = []

    def follow() -> None:
        with database.connect() as connection:
            while True:
                was_written = written.is_set()
                rows = connection.execute(
                    "select id from events where id > %s order by id", [max(seen, default=0)]
                )
                seen.extend(event_id for (event_id,) in rows)
                if was_written:
                    return

    follower = threading.Thread(target=follow)
    follower.start()
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    written.set()
    follower.join()
    assert seen == sorted(seen)
    assert len(seen) == cluster.one("select count(*) from events") == 8 * 50 * 2


def test_an_open_transaction_holds_up_nobody_elses_event_and_takes_its_id_last(cluster, database, tmp_path):
    cluster.define(catalogue(tmp_path, "first", "second"))
    with psycopg.connect(database.direct_url) as slow:
        slow.execute("select pause_task('first')")
        with database.connect() as quick:
            quick.execute("set statement_timeout = '5s'")
            quick.execute("select pause_task('second')")
        slow.commit()
    rows = cluster.connection.execute("select task from events order by id").fetchall()
    assert rows == [("second",), ("first",)]


def test_no_text_however_long_brings_a_notification_near_its_limit(cluster, database, tmp_path):
    name = "t" * 100
    cluster.define(catalogue(tmp_path, name))
    cluster.join("n" * 100, tasks=[name])
    with ExitStack() as stack:
        listener = stack.enter_context(database.connect())
        listener.execute("listen task_events")
        listener.execute("listen node_events")
        run = cluster.start(name, "n" * 100)
        # Each of these characters is six bytes as JSON escapes it, or four as they are.
        for long in ("\N{BELL}" * 16_000, "\N{GRINNING FACE}" * 16_000):
            cluster.one("select skip_tick(%s, next_run_at, next_run_at, %s) from tasks", name, long)
        cluster.finish(run, "n" * 100, "failed", error="\N{GRINNING FACE}" * 16_000)
        sizes = [len(notify.payload.encode()) for notify in listener.notifies(timeout=5, stop_after=4)]
    assert len(sizes) == 4
    assert max(sizes) < PAYLOAD_BYTES_MAX / 2


def test_money_heartbeats_and_progress_notify_nobody(cluster, database, tmp_path):
    """At commit NOTIFY takes one lock for the whole server, so what happens often must do without."""
    cluster.define(catalogue(tmp_path, "backup"))
    cluster.join("node-1", tasks=["backup"])
    run = cluster.start("backup", "node-1")
    incarnation = cluster.incarnations["node-1"]
    (user,) = open_accounts(cluster.connection, [100])
    events_before = cluster.one("select count(*) from events")
    called = [
        "withdraw", "deposit", "move_money", "open_account", "open_account_once", "post_batch", "post_list",
        "lock_accounts", "check_batch", "heartbeat", "report_progress", "assert_run",
    ]  # fmt: skip
    sources = cluster.connection.execute(
        "select proname, prosrc from pg_proc where proname = any(%s)", [called]
    ).fetchall()
    assert {name for name, _ in sources} == set(called)
    assert [name for name, source in sources if "notify" in source or "announce" in source] == []
    triggers = cluster.connection.execute(
        "select p.proname from pg_trigger as t join pg_proc as p on p.oid = t.tgfoid"
        " where t.tgrelid = any('{users,entries,idempotency_keys}'::regclass[]) and p.prosrc ~ 'notify|announce'"
    ).fetchall()
    assert triggers == []
    cluster.one("select balance from withdraw(%s, 1)", user)
    cluster.one("select renewed from heartbeat('node-1', %s)", incarnation)
    cluster.one("select report_progress(%s, %s, array['{\"done\": 1}']::jsonb[])", incarnation, [run])
    assert cluster.one("select count(*) from events") == events_before
