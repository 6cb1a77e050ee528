"""Whoever lost a run can do nothing to it any more, nor to the one that took its place.

Each way of losing a run meets each thing that a holder does. The run that took its place is
running on another node, or on the same one under another incarnation.
"""

from dataclasses import dataclass
from datetime import timedelta

import psycopg
import pytest
from cluster_rows import FAR, Cluster
from psycopg.types.json import Jsonb

from server.cron.catalogue import Catalogue
from server.settings import Settings


@dataclass(frozen=True)
class Lost:
    """A run that was taken from its holder, and the one that runs in its place."""

    cluster: Cluster
    run: int
    incarnation: int
    successor: int

    def one(self, statement: str, *params):
        return self.cluster.one(statement, *params)

    def history(self) -> list[tuple]:
        """Everything that a stale holder might have changed."""
        connection = self.cluster.connection
        return [
            *connection.execute(
                "select id, status, finished_at, progress::text, result::text, output, error, cancel_requested_at from runs order by id"
            ),
            *connection.execute("select name, incarnation, state, lease_expires_at from nodes order by name"),
            *connection.execute(
                "select name, next_run_at, due_at, due_trigger, due_run_id, losses, paused from tasks"
            ),
            *connection.execute("select max(id) from events"),
        ]


def swept(cluster: Cluster) -> str:
    cluster.expire("node-1")
    cluster.one("select sweep()")
    return "node-2"


def proven_dead(cluster: Cluster) -> str:
    cluster.one("select declare_dead('node-1', %s, 'proven')", cluster.incarnations["node-1"])
    return "node-2"


def restarted(cluster: Cluster) -> str:
    proven_dead(cluster)
    cluster.join("node-1")
    return "node-1"


def left(cluster: Cluster) -> str:
    cluster.one("select leave_cluster('node-1', %s)", cluster.incarnations["node-1"])
    return "node-2"


@pytest.fixture(params=[swept, proven_dead, restarted, left], ids=lambda way: way.__name__)
def lost(request, database, tmp_path):
    cluster = Cluster(database)
    settings = Settings.model_validate(
        {"home": tmp_path, "source": "test", "tasks": {"backup": {"function": "m:f", "every": "1h"}}}
    )
    cluster.join("node-1", "node-2", tasks=["backup"])
    cluster.define(Catalogue.from_settings(settings))
    run, incarnation = cluster.start("backup", "node-1"), cluster.incarnations["node-1"]
    successor = cluster.start("backup", request.param(cluster))
    assert successor > run, "a fencing token grows"
    yield Lost(cluster, run, incarnation, successor)
    cluster.connection.close()


FINISH = "select finish_run(%s, %s, %s, %s, 'output', 'error', %s)"


@pytest.mark.parametrize("status", ["succeeded", "failed", "timed_out", "cancelled", "interrupted"])
def test_a_stale_holder_can_neither_complete_nor_fail_nor_cancel_nor_give_back(lost, status):
    before = lost.history()
    answer = lost.one(
        FINISH, lost.run, lost.incarnation, status, Jsonb({"stale": True}), timedelta(seconds=1)
    )
    assert answer == "lost"
    assert lost.history() == before


def test_a_stale_holder_can_not_finish_the_run_that_took_its_place(lost):
    before = lost.history()
    assert lost.one(FINISH, lost.successor, lost.incarnation, "succeeded", None, None) == "lost"
    assert lost.history() == before


def test_a_stale_holder_can_not_report_progress_of_either_run(lost):
    before = lost.history()
    reports = [Jsonb({"done": 1}), Jsonb({"done": 1})]
    assert (
        lost.one("select report_progress(%s, %s, %s)", lost.incarnation, [lost.run, lost.successor], reports)
        == []
    )
    assert lost.history() == before


def test_a_stale_holder_can_not_renew_a_lease_and_hears_of_no_run(lost):
    before = lost.history()
    heard = lost.cluster.connection.execute(
        "select renewed, runs, cancels from heartbeat('node-1', %s)", [lost.incarnation]
    ).fetchone()
    assert heard == (False, [], [])
    assert lost.history() == before


def test_a_stale_holder_can_not_commit_a_guarded_write(lost):
    with psycopg.connect(lost.cluster.database.application_url) as job:
        job.execute("select withdraw(1, 1)")
        with pytest.raises(psycopg.Error) as caught:
            job.execute("select assert_run(%s)", [lost.run])
        assert caught.value.sqlstate == "RF410"
        job.rollback()
    assert lost.one("select balance from users where id = 1") == 10_000


def test_a_stale_holder_can_start_nothing(lost):
    lost.cluster.as_owner("update tasks set due_at = clock_timestamp(), due_trigger = 'manual'")
    before = lost.history()
    refused = lost.cluster.connection.execute(
        "select run_id, reason from start_run('backup', 'node-1', %s, %s, %s)", [lost.incarnation, FAR, FAR]
    ).fetchone()
    assert refused == (None, "lease_lost")
    assert lost.history() == before


def test_a_stale_holder_can_neither_drain_nor_leave_nor_be_declared_dead_once_more(lost):
    before = lost.history()
    assert lost.one("select drain_node('node-1', %s)", lost.incarnation) is False
    assert lost.one("select leave_cluster('node-1', %s)", lost.incarnation) is False
    assert lost.one("select declare_dead('node-1', %s, 'late proof')", lost.incarnation) is None
    assert lost.history() == before


def test_a_cancel_of_the_lost_run_does_not_reach_the_one_in_its_place(lost):
    before = lost.history()
    assert lost.one("select cancel_run(%s)", lost.run) == "ended"
    assert lost.history() == before


def test_the_holder_of_the_run_in_its_place_is_served_as_ever(lost):
    (node, incarnation) = lost.cluster.connection.execute(
        "select node_name, incarnation from runs where id = %s", [lost.successor]
    ).fetchone()
    assert lost.one("select renewed from heartbeat(%s, %s)", node, incarnation) is True
    assert lost.one(
        "select report_progress(%s, %s, %s)", incarnation, [lost.successor], [Jsonb({"done": 1})]
    ) == [lost.successor]
    assert lost.one(FINISH, lost.successor, incarnation, "succeeded", None, None) == "recorded"
    assert lost.one(FINISH, lost.successor, incarnation, "failed", None, None) == "already"


def test_a_holder_that_gave_its_run_back_can_not_touch_it_though_it_holds_the_next_one(database, tmp_path):
    """The same node, the same incarnation: only the run's id tells the two apart."""
    cluster = Cluster(database)
    settings = Settings.model_validate(
        {"home": tmp_path, "source": "test", "tasks": {"backup": {"function": "m:f", "every": "1h"}}}
    )
    cluster.join("node-1", tasks=["backup"])
    cluster.define(Catalogue.from_settings(settings))
    incarnation = cluster.incarnations["node-1"]
    first = cluster.start("backup", "node-1")
    cluster.finish(first, "node-1", "interrupted")
    second = cluster.start("backup", "node-1")
    assert cluster.one(FINISH, first, incarnation, "succeeded", None, None) == "already"
    assert cluster.one("select report_progress(%s, %s, %s)", incarnation, [first], [Jsonb({"done": 1})]) == []
    with pytest.raises(psycopg.Error) as caught:
        cluster.one("select assert_run(%s)", first)
    assert caught.value.sqlstate == "RF410"
    rows = cluster.connection.execute("select id, status, progress from runs order by id").fetchall()
    assert rows == [(first, "interrupted", None), (second, "running", None)]
    cluster.connection.close()
