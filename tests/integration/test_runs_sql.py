"""The rules of nodes, tasks and runs, where they live: in PostgreSQL."""

import json
import threading
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from server.cluster.heartbeat import STATEMENTS

FAR = datetime(2100, 1, 1, tzinfo=UTC)


class Cluster:
    """The functions as a node calls them, on connections of the application's role."""

    def __init__(self, database) -> None:
        self.database = database
        self.connection = database.connect()
        self.incarnations: dict[str, int] = {}

    def one(self, statement: str, *params, connection=None):
        return (connection or self.connection).execute(statement, params).fetchone()

    def register(self, name: str, tasks=("backup", "report"), ttl: str = "15 s") -> int | None:
        row = self.one(
            "select incarnation from register_node(%s, 'host', 1, 'http://x', '1', %s, %s::interval, 'boot', '/l', 1, 1)",
            name,
            list(tasks),
            ttl,
        )
        if row[0] is not None:
            self.incarnations[name] = row[0]
        return row[0]

    def define(self, *names: str, first: str | None = None) -> None:
        definitions = [
            {
                "name": name,
                "function": "m:f",
                "schedule": "every hour",
                "definition": {},
                "hash": "1",
                "revision": 1,
                "paused": False,
                "firstRunAt": first,
                "nextRunAt": FAR.isoformat(),
            }
            for name in names
        ]
        self.one("select define_tasks(%s)", json.dumps(definitions))

    def next_run(self, task: str) -> datetime:
        return self.one("select next_run_at from tasks where name = %s", task)[0]

    def start(self, task: str, node: str, expected=None, connection=None):
        """(run id, reason)"""
        return self.one(
            "select run_id, reason from start_run(%s, %s, %s, %s, %s)",
            task,
            node,
            self.incarnations[node],
            expected or self.next_run(task),
            FAR,
            connection=connection,
        )

    def finish(self, run: int, node: str, status: str = "succeeded", retry=None) -> str:
        return self.one(
            "select finish_run(%s, %s, %s, null, null, null, %s)", run, self.incarnations[node], status, retry
        )[0]

    def run(self, run_id: int) -> tuple:
        return self.one("select status, trigger, predecessor_id, attempt from runs where id = %s", run_id)

    def task(self, name: str) -> tuple:
        return self.one(
            "select due_trigger, due_run_id, due_at <= clock_timestamp(), losses from tasks where name = %s",
            name,
        )

    def expire(self, name: str) -> None:
        with self.database.connect_as_owner() as owner:
            owner.execute(
                "update nodes set lease_expires_at = clock_timestamp() - interval '1 s' where name = %s",
                [name],
            )

    def events(self, channel: str) -> list[tuple]:
        return self.connection.execute(
            "select event, coalesce(task, node) from events where channel = %s order by id", [channel]
        ).fetchall()


@pytest.fixture
def cluster(database):
    cluster = Cluster(database)
    yield cluster
    cluster.connection.close()


@pytest.fixture
def busy(cluster):
    """Two nodes and two tasks that are due."""
    cluster.register("node-1")
    cluster.register("node-2")
    cluster.define("backup", "report")
    return cluster


def test_a_due_task_starts_once_and_its_schedule_moves_on(busy):
    run, reason = busy.start("backup", "node-1")
    assert run is not None
    assert reason is None
    assert busy.next_run("backup") == FAR
    assert busy.run(run) == ("running", "schedule", None, 1)


def test_a_running_task_never_starts_a_second_time(busy):
    busy.start("backup", "node-1")
    assert busy.start("backup", "node-2") == (None, "already_running")


def test_the_index_has_the_last_word_on_two_running_rows(busy):
    busy.start("backup", "node-1")
    with busy.database.connect_as_owner() as owner, pytest.raises(psycopg.errors.UniqueViolation) as caught:
        owner.execute(
            "insert into runs (task_name, node_name, incarnation, status, trigger, scheduled_for, started_at, attempt)"
            " values ('backup', 'node-2', 2, 'running', 'manual', now(), now(), 1)"
        )
    assert caught.value.diag.constraint_name == "one_running_run_per_task"


def test_a_tick_is_consumed_once_whoever_tries(busy):
    expected = busy.next_run("backup")
    run, _ = busy.start("backup", "node-1", expected)
    busy.finish(run, "node-1")
    assert busy.start("backup", "node-2", expected) == (None, "moved")


def test_forty_starters_at_one_moment_make_one_run(busy):
    expected = busy.next_run("backup")
    barrier, answers = threading.Barrier(40), []

    def attempt(node: str) -> None:
        with busy.database.connect() as connection:
            barrier.wait()
            answers.append(busy.start("backup", node, expected, connection))

    threads = [threading.Thread(target=attempt, args=(f"node-{1 + n % 2}",)) for n in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([run for run, _ in answers if run is not None]) == 1
    assert {reason for run, reason in answers if run is None} <= {"already_running", "moved"}


def test_a_task_that_is_not_due_does_not_start(cluster):
    cluster.register("node-1")
    cluster.define("backup", first=FAR.isoformat())
    assert cluster.start("backup", "node-1") == (None, "not_due")


def test_a_paused_task_does_not_start_and_a_resumed_one_does(busy):
    busy.one("select pause_task('backup')")
    assert busy.start("backup", "node-1") == (None, "paused")
    busy.one("select resume_task('backup', null)")
    assert busy.start("backup", "node-1")[0] is not None


def test_a_node_never_starts_a_task_that_it_does_not_know(busy):
    busy.define("new")
    assert busy.start("new", "node-1") == (None, "unknown_task")


def test_a_node_whose_lease_has_passed_starts_nothing(busy):
    busy.expire("node-1")
    assert busy.start("backup", "node-1") == (None, "lease_lost")


def test_a_draining_node_starts_nothing_and_still_beats(busy):
    busy.one("select drain_node('node-1', %s)", busy.incarnations["node-1"])
    assert busy.start("backup", "node-1") == (None, "lease_lost")
    assert busy.one("select renewed from heartbeat('node-1', %s)", busy.incarnations["node-1"]) == (True,)


def test_a_heartbeat_renews_the_lease_and_names_the_runs_and_the_cancels(busy):
    run, _ = busy.start("backup", "node-1")
    other, _ = busy.start("report", "node-1")
    busy.one("select cancel_run(%s)", other)
    row = busy.one(
        "select renewed, runs, cancels, expired from heartbeat('node-1', %s)", busy.incarnations["node-1"]
    )
    assert row == (True, [run, other], [other], False)


def test_a_lease_that_has_passed_is_never_brought_back(busy):
    busy.expire("node-1")
    assert busy.one("select renewed from heartbeat('node-1', %s)", busy.incarnations["node-1"]) == (False,)


def test_an_earlier_incarnation_can_neither_beat_nor_finish_nor_report(busy):
    run, _ = busy.start("backup", "node-1")
    old = busy.incarnations["node-1"]
    busy.one("select declare_dead('node-1', %s, 'proof')", old)
    busy.register("node-1")
    assert busy.one("select renewed from heartbeat('node-1', %s)", old) == (False,)
    assert busy.one("select finish_run(%s, %s, 'succeeded', null, null, null)", run, old) == ("lost",)
    assert busy.one("select report_progress(%s, %s, %s::jsonb[])", old, [run], ['{"done": 1}']) == ([],)
    assert busy.run(run)[0] == "lost"


def test_a_name_that_is_held_is_refused_and_its_holder_named(busy):
    row = busy.one(
        "select incarnation, holder_incarnation, holder_host, holder_pid"
        " from register_node('node-1', 'other', 2, 'u', '1', '{}', '15 s', 'b', '/l', 1, 1)"
    )
    assert row == (None, busy.incarnations["node-1"], "host", 1)


def test_an_incarnation_is_never_used_again(busy):
    first = busy.incarnations["node-1"]
    busy.one("select leave_cluster('node-1', %s)", first)
    assert busy.register("node-1") > first


def test_a_sweep_ends_only_nodes_whose_lease_has_passed_and_their_runs_are_due_at_once(busy):
    lost, _ = busy.start("backup", "node-1")
    kept, _ = busy.start("report", "node-2")
    busy.expire("node-1")
    assert busy.one("select * from sweep()") == (["node-1"], [lost])
    assert busy.run(lost)[0] == "lost"
    assert busy.run(kept)[0] == "running"
    assert busy.task("backup") == ("lost", lost, True, 1)


def test_a_sweep_ends_nobody_when_the_clock_is_ahead_of_what_its_caller_watched(busy):
    run, _ = busy.start("backup", "node-1")
    busy.expire("node-1")
    assert busy.one("select * from sweep(clock_timestamp() - interval '1 ms')") == ([], [])
    assert busy.run(run)[0] == "running"
    assert busy.one("select * from sweep(clock_timestamp() + interval '1 s')") == (["node-1"], [run])


def test_a_sweep_that_reaches_another_server_than_the_watch_ends_nobody(busy):
    """As behind a pooler, where a statement may go to another server than the one before it."""
    run, _ = busy.start("backup", "node-1")
    busy.expire("node-1")
    clock, started, timeline = busy.one("select clock, server_started, timeline from cluster_clock()")

    def sweep(**other) -> tuple[list[str], list[int]]:
        watched = {"clock_max": clock + timedelta(minutes=1), "server_started": started, "timeline": timeline}
        return busy.connection.execute(STATEMENTS["sweep"], watched | other).fetchone()

    assert sweep(server_started=started - timedelta(microseconds=1)) == ([], [])
    assert sweep(timeline="FFFFFFFF") == ([], [])
    assert sweep(timeline=None) == ([], [])
    assert busy.run(run)[0] == "running"
    assert sweep() == (["node-1"], [run])


def test_a_lost_run_has_a_successor_that_names_it(busy):
    lost, _ = busy.start("backup", "node-1")
    busy.expire("node-1")
    busy.one("select sweep()")
    successor, _ = busy.start("backup", "node-2")
    assert busy.run(successor) == ("running", "lost", lost, 2)


def test_a_result_from_a_holder_that_lost_its_run_changes_nothing(busy):
    lost, _ = busy.start("backup", "node-1")
    busy.expire("node-1")
    busy.one("select sweep()")
    assert busy.finish(lost, "node-1") == "lost"
    assert busy.run(lost)[0] == "lost"


def test_telling_an_ending_twice_is_already_known(busy):
    run, _ = busy.start("backup", "node-1")
    assert busy.finish(run, "node-1") == "recorded"
    assert busy.finish(run, "node-1", "failed") == "already"
    assert busy.run(run)[0] == "succeeded"


def lose(busy, node: str) -> int:
    """The task's next run starts on the node and is lost with it."""
    with busy.database.connect_as_owner() as owner:
        owner.execute("update tasks set due_at = clock_timestamp() where due_at is not null")
    run, reason = busy.start("backup", node)
    assert reason is None
    busy.one("select declare_dead(%s, %s, 'test')", node, busy.incarnations[node])
    busy.register(node)
    return run


def test_the_second_loss_in_a_row_waits_and_the_third_fails_until_the_next_time(busy):
    lose(busy, "node-1")
    assert busy.task("backup")[2:] == (True, 1)
    lose(busy, "node-1")
    assert busy.task("backup")[2:] == (False, 2)
    third = lose(busy, "node-1")
    assert busy.run(third)[0] == "failed"
    assert busy.task("backup") == (None, None, None, 0)


def test_a_task_that_failed_by_its_third_loss_starts_at_its_next_time_as_if_new(busy):
    for _ in range(3):
        lose(busy, "node-1")
    assert busy.start("backup", "node-2") == (None, "not_due")
    with busy.database.connect_as_owner() as owner:
        owner.execute("update tasks set next_run_at = clock_timestamp() where name = 'backup'")
    run, _ = busy.start("backup", "node-2")
    assert busy.run(run) == ("running", "schedule", None, 1)


def test_a_success_forgets_earlier_losses(busy):
    lose(busy, "node-1")
    run, _ = busy.start("backup", "node-2")
    busy.finish(run, "node-2")
    assert busy.task("backup")[3] == 0


def test_an_interrupted_run_is_due_again_at_once(busy):
    run, _ = busy.start("backup", "node-1")
    busy.finish(run, "node-1", "interrupted")
    assert busy.task("backup") == ("interrupted", run, True, 0)
    successor, _ = busy.start("backup", "node-2")
    assert busy.run(successor) == ("running", "interrupted", run, 1)


def test_a_failed_run_with_a_retry_is_due_after_its_pause(busy):
    run, _ = busy.start("backup", "node-1")
    busy.finish(run, "node-1", "failed", timedelta(minutes=5))
    assert busy.task("backup") == ("retry", run, False, 0)


def test_a_cancelled_run_that_is_lost_is_cancelled_and_not_due_again(busy):
    run, _ = busy.start("backup", "node-1")
    busy.one("select cancel_run(%s)", run)
    busy.expire("node-1")
    busy.one("select sweep()")
    assert busy.run(run)[0] == "cancelled"
    assert busy.task("backup")[0] is None


def test_a_node_that_leaves_is_off_the_list_and_told_of(busy):
    busy.one("select leave_cluster('node-1', %s)", busy.incarnations["node-1"])
    assert busy.one("select count(*) from nodes") == (1,)
    assert busy.events("node_events")[-1] == ("left", "node-1")


def test_membership_changes_are_told_and_heartbeats_are_not(busy):
    before = busy.one("select membership from heartbeat('node-1', %s)", busy.incarnations["node-1"])
    assert busy.one("select membership from heartbeat('node-1', %s)", busy.incarnations["node-1"]) == before
    busy.one("select drain_node('node-1', %s)", busy.incarnations["node-1"])
    busy.one("select declare_dead('node-2', %s, 'test')", busy.incarnations["node-2"])
    assert busy.events("node_events") == [
        ("joined", "node-1"),
        ("joined", "node-2"),
        ("draining", "node-1"),
        ("dead", "node-2"),
    ]
    assert busy.one("select membership from heartbeat('node-1', %s)", busy.incarnations["node-1"]) != before


def test_every_start_and_ending_and_pause_and_skip_is_an_event(busy):
    run, _ = busy.start("backup", "node-1")
    busy.finish(run, "node-1")
    busy.one("select pause_task('report')")
    busy.one("select resume_task('report', null)")
    assert busy.one("select skip_tick('report', %s, %s, 'still running')", busy.next_run("report"), FAR) == (
        True,
    )
    assert busy.events("task_events") == [
        ("started", "backup"),
        ("succeeded", "backup"),
        ("paused", "report"),
        ("resumed", "report"),
        ("skipped", "report"),
    ]


def test_a_tick_is_skipped_once(busy):
    expected = busy.next_run("report")
    assert busy.one("select skip_tick('report', %s, %s, 'x')", expected, FAR) == (True,)
    assert busy.one("select skip_tick('report', %s, %s, 'x')", expected, FAR) == (False,)


def test_a_very_long_error_does_not_break_the_notification(busy):
    run, _ = busy.start("backup", "node-1")
    busy.one(
        "select finish_run(%s, %s, 'failed', null, null, %s)",
        run,
        busy.incarnations["node-1"],
        "\N{EURO SIGN}" * 16_000,
    )
    assert busy.run(run)[0] == "failed"


def test_a_guarded_transaction_keeps_its_run_until_it_commits(busy):
    run, _ = busy.start("backup", "node-1")
    order: list[str] = []
    with psycopg.connect(busy.database.direct_url) as job:
        job.execute("select assert_run(%s)", [run])

        def take_away() -> None:
            with busy.database.connect() as other:
                other.execute("select declare_dead('node-1', %s, 'test')", [busy.incarnations["node-1"]])
            order.append("taken")

        taker = threading.Thread(target=take_away)
        taker.start()
        while not busy.one(
            "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
        )[0]:
            pass
        order.append("committed")
        job.commit()
        taker.join()
    assert order == ["committed", "taken"]


def test_a_guarded_write_of_a_lost_run_is_refused(busy):
    run, _ = busy.start("backup", "node-1")
    busy.one("select declare_dead('node-1', %s, 'test')", busy.incarnations["node-1"])
    with pytest.raises(psycopg.Error) as caught:
        busy.one("select assert_run(%s)", run)
    assert caught.value.sqlstate == "RF410"


def test_a_guarded_transaction_ends_with_the_lease(busy):
    busy.one("select declare_dead('node-1', %s, 'test')", busy.incarnations["node-1"])
    busy.register("node-1", ttl="1 s")
    run, _ = busy.start("backup", "node-1")
    with pytest.raises(psycopg.Error) as caught, psycopg.connect(busy.database.direct_url) as job:
        job.execute("select assert_run(%s)", [run])
        job.execute("select pg_sleep(30)")
    assert caught.value.sqlstate in {"25P04", "57014", None}


def test_pruning_keeps_what_runs_and_each_tasks_newest_run(busy):
    for _ in range(3):
        run, _ = busy.start("backup", "node-1")
        busy.finish(run, "node-1")
        busy.one("select run_task('backup')")
    running, _ = busy.start("report", "node-2")
    with busy.database.connect_as_owner() as owner:
        owner.execute(
            "update runs set finished_at = finished_at - interval '1 year' where finished_at is not null"
        )
    assert busy.one("select runs_deleted from prune_history('30 days', 1000)") == (2,)
    assert busy.one("select array_agg(id order by id) from runs") == ([run, running],)


def test_an_unchanged_schedule_keeps_its_next_time_through_a_deploy(busy):
    before = busy.next_run("backup")
    item = {
        "name": "backup",
        "function": "m:other",
        "schedule": "every hour",
        "definition": {},
        "hash": "2",
        "revision": 1,
        "paused": False,
        "firstRunAt": None,
        "nextRunAt": FAR.isoformat(),
    }
    busy.one("select define_tasks(%s)", json.dumps([item]))
    assert busy.next_run("backup") == before
