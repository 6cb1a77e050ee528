"""What becomes of tasks when configurations differ, change and forget them, and of ticks that are skipped."""

import json
import threading
from datetime import timedelta

import psycopg
import pytest
from cluster_rows import FAR, Cluster


@pytest.fixture
def cluster(database):
    """Two nodes that know `backup`, and one that knows nothing."""
    found = Cluster(database)
    found.join("node-1", "node-2", tasks=["backup"])
    found.join("node-3", tasks=[])
    yield found
    found.connection.close()


def item(name: str = "backup", mark: str = "1", **changes) -> dict:
    """An element of what define_tasks() takes; another `mark` is another definition."""
    return {
        "name": name,
        "function": "m:f",
        "schedule": "every hour",
        "definition": {"every": 3600.0, "cron": None, "timezone": "UTC", "jitter_seconds": 0.0, "mark": mark},
        "hash": mark,
        "revision": 1,
        "paused": False,
        "firstRunAt": None,
        "nextRunAt": FAR.isoformat(),
    } | changes


def define(cluster, *items: dict) -> dict[str, str]:
    """What define_tasks() says that it changed."""
    changes = cluster.one("select define_tasks(%s)", json.dumps(items or [item()]))
    return {one["name"]: one["change"] for one in changes}


def column(cluster, name: str, task: str = "backup"):
    return cluster.one(f"select {name} from tasks where name = %s", task)


def leave(cluster, *nodes: str) -> None:
    for node in nodes:
        cluster.one("select leave_cluster(%s, %s)", node, cluster.incarnations[node])


def retire(cluster, task: str = "backup") -> bool:
    return cluster.one("select retire_task(%s)", task)


@pytest.fixture
def retired(cluster):
    """`backup` ran once, then nobody named it any more."""
    define(cluster)
    cluster.finish(cluster.start("backup", "node-1"), "node-1")
    leave(cluster, "node-1", "node-2")
    assert retire(cluster)
    return cluster


def events(cluster) -> list[tuple[str, str | None]]:
    return cluster.connection.execute(
        "select event, detail from events where channel = 'task_events' order by id"
    ).fetchall()


# Whose definition counts


def test_a_definition_that_is_the_same_changes_nothing(cluster):
    assert define(cluster) == {"backup": "made"}
    assert define(cluster) == {}
    assert events(cluster) == []


def test_a_higher_revision_defines_a_task_and_a_lower_one_does_not_bring_its_own_back(cluster):
    define(cluster, item(mark="old", revision=1))
    assert define(cluster, item(mark="new", revision=2)) == {"backup": "changed"}
    assert define(cluster, item(mark="old", revision=1)) == {"backup": "outranked"}
    assert (column(cluster, "definition ->> 'mark'"), column(cluster, "revision")) == ("new", 2)
    assert events(cluster) == [("redefined", None)]


def test_at_the_same_revision_the_later_one_defines_it_with_a_warning_event(cluster):
    define(cluster, item(mark="one"))
    assert define(cluster, item(mark="other")) == {"backup": "contested"}
    assert column(cluster, "definition ->> 'mark'") == "other"
    [(event, detail)] = events(cluster)
    assert event == "redefined"
    assert "another configuration of revision 1 defined it before" in detail


def test_an_unchanged_definition_of_a_higher_revision_outranks_the_older_ones(cluster):
    define(cluster, item(mark="same", revision=1))
    assert define(cluster, item(mark="same", revision=7)) == {}
    assert define(cluster, item(mark="late", revision=6)) == {"backup": "outranked"}
    assert (column(cluster, "definition ->> 'mark'"), column(cluster, "revision")) == ("same", 7)


def test_six_nodes_that_start_at_one_moment_make_each_task_once(cluster):
    names = [f"task-{number}" for number in range(20)]
    barrier, answers = threading.Barrier(6), []

    def start() -> None:
        with cluster.database.connect() as connection:
            barrier.wait()
            definitions = json.dumps([item(name) for name in names])
            answers.append(connection.execute("select define_tasks(%s)", [definitions]).fetchone()[0])

    threads = [threading.Thread(target=start) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one["name"] for answer in answers for one in answer) == sorted(names)


# What a change does to the next time


@pytest.mark.parametrize(
    "timing", [{"every": 60.0}, {"every": None, "cron": "0 * * * *"}, {"jitter_seconds": 9.0}]
)
def test_another_schedule_takes_effect_at_once_even_if_it_reads_the_same_in_words(cluster, timing):
    define(cluster, item(firstRunAt=FAR.isoformat()))
    another = item(mark="2", nextRunAt="2099-01-01T00:00:00Z")
    define(cluster, another | {"definition": another["definition"] | timing})
    assert column(cluster, "next_run_at").year == 2099


def test_another_function_or_limit_keeps_the_next_time(cluster):
    define(cluster, item(firstRunAt=FAR.isoformat()))
    assert define(cluster, item(mark="2", function="m:other", nextRunAt="2099-01-01T00:00:00Z"))
    assert column(cluster, "function") == "m:other"
    assert column(cluster, "next_run_at") == FAR


def test_whether_a_known_task_is_paused_stays_the_operators(cluster):
    define(cluster)
    cluster.one("select pause_task('backup')")
    define(cluster, item(mark="2", revision=2, paused=False))
    assert column(cluster, "paused") is True


# Retired


def test_a_task_that_any_node_knows_is_not_retired(cluster):
    define(cluster)
    leave(cluster, "node-1")
    assert retire(cluster) is False
    cluster.one("select drain_node('node-2', %s)", cluster.incarnations["node-2"])
    assert retire(cluster) is False, "a draining node may still be the only one of an old release"
    leave(cluster, "node-2")
    assert retire(cluster) is True
    assert retire(cluster) is False, "it is retired already"
    assert retire(cluster, "nothing") is False


def test_what_a_dead_node_knew_counts_no_more(cluster):
    define(cluster)
    leave(cluster, "node-1")
    cluster.one("select declare_dead('node-2', %s, 'test')", cluster.incarnations["node-2"])
    assert retire(cluster) is True


def test_a_retired_task_starts_nothing_and_keeps_its_history(retired):
    retired.join("node-4", tasks=["backup"])
    row = retired.connection.execute(
        "select run_id, reason from start_run('backup', 'node-4', %s, %s, %s)",
        [retired.incarnations["node-4"], column(retired, "next_run_at"), FAR],
    ).fetchone()
    assert row == (None, "unknown_task")
    assert retired.one("select run_task('backup')") == "retired"
    assert retired.one("select status from runs where task_name = 'backup'") == "succeeded"
    skipped = retired.one("select skip_tick('backup', %s, %s, 'x', 1)", column(retired, "next_run_at"), FAR)
    assert skipped is False


def test_what_was_due_out_of_turn_is_dropped_with_the_task(cluster):
    define(cluster)
    cluster.finish(cluster.start("backup", "node-1"), "node-1", "interrupted")
    assert column(cluster, "due_trigger") == "interrupted"
    leave(cluster, "node-1", "node-2")
    assert retire(cluster) is True
    assert column(cluster, "due_at") is None
    with pytest.raises(psycopg.errors.CheckViolation) as caught:
        cluster.as_owner("update tasks set due_at = now(), due_trigger = 'manual'")
    assert caught.value.diag.constraint_name == "task_retired_is_not_due"


def test_a_retired_task_comes_back_paused_as_it_was_and_due_by_its_schedule(retired):
    retired.one("select pause_task('backup')")
    long_ago = retired.one("select clock_timestamp()") - timedelta(days=400)
    retired.as_owner("update tasks set next_run_at = %s", long_ago)
    # The definition changed meanwhile at the same revision: nobody contests it.
    assert define(retired, item(mark="2", firstRunAt=None, nextRunAt=FAR.isoformat())) == {
        "backup": "returned"
    }
    assert column(retired, "retired_at") is None
    assert column(retired, "paused") is True
    assert column(retired, "next_run_at") == FAR
    assert column(retired, "definition ->> 'mark'") == "2"
    told = [event for event, _ in events(retired)]
    assert told == ["started", "succeeded", "retired", "paused", "redefined", "returned"]
    assert dict(events(retired))["redefined"] is None


def test_a_task_that_is_back_before_its_next_time_keeps_it(retired):
    soon = retired.one("select clock_timestamp()") + timedelta(minutes=20)
    retired.as_owner("update tasks set next_run_at = %s", soon)
    assert define(retired) == {"backup": "returned"}
    assert column(retired, "next_run_at") == soon


def test_a_lower_revision_brings_a_task_back_as_the_higher_one_defined_it(retired):
    retired.as_owner("update tasks set revision = 5")
    assert define(retired, item(mark="old", revision=4)) == {"backup": "returned"}
    assert column(retired, "retired_at") is None
    assert column(retired, "definition ->> 'mark'") == "1"


# Skipped


def test_skipped_ticks_are_counted_and_the_last_reason_and_time_are_kept(cluster):
    define(cluster)
    first = column(cluster, "next_run_at")
    assert cluster.one("select skip_tick('backup', %s, %s, 'still running (3 ticks)', 3)", first, FAR)
    again = "select skip_tick('backup', %s, %s, 'still running', 1)"
    assert cluster.one(again, FAR, FAR + timedelta(1)) is True
    assert cluster.one(again, FAR, FAR + timedelta(1)) is False, "it was skipped already"
    assert column(cluster, "skipped_ticks") == 4
    assert column(cluster, "skipped_reason") == "still running"
    assert column(cluster, "skipped_at <= clock_timestamp()") is True
    assert events(cluster) == [("skipped", "still running (3 ticks)"), ("skipped", "still running")]


def test_a_node_of_the_release_before_counts_one_tick_for_each_call(cluster):
    define(cluster)
    assert cluster.one("select skip_tick('backup', %s, %s, 'x')", column(cluster, "next_run_at"), FAR)
    assert column(cluster, "skipped_ticks") == 1
