"""Jobs of a node that cannot renew its lease: asked to end at the soft stop, ended before the hard one or with it."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from fleet import TTL_SECONDS, is_alive, overlaps, wait_until
from psycopg import sql

from server.cluster.lease import boot_time


@pytest.fixture
def without_database(server, database):
    """Within it nobody gets a connection to the test's database, and who has one loses it."""

    @contextmanager
    def closed() -> Iterator[None]:
        with psycopg.connect(server, autocommit=True) as superuser:
            name = sql.Identifier(database.name)
            superuser.execute(sql.SQL("alter database {} with allow_connections false").format(name))
            superuser.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", [database.name]
            )
            try:
                yield
            finally:
                superuser.execute(sql.SQL("alter database {} with allow_connections true").format(name))

    return closed


def at_work(fleet, workers: int = 0) -> dict:
    names = {"job"} | {f"worker-{number}" for number in range(workers)}
    wait_until(lambda: names <= {line["task"] for line in fleet.testimony()}, 30, "all at work")
    return fleet.told_by("job", "start")[0]


def test_without_a_database_a_job_in_the_loop_is_asked_to_end_and_its_node_lives_on(nodes, without_database):
    fleet = nodes(1, "works_in_the_loop", params={"seconds": 60}, workers=1)
    at_work(fleet, workers=1)
    with without_database():
        wait_until(lambda: "asked to stop" in fleet.log(1), TTL_SECONDS + 5, "the soft stop")
        hard_stop_at = time.monotonic() + 1
        # Beyond the hard stop, which finds nothing to end.
        wait_until(lambda: time.monotonic() > hard_stop_at + 1)
        assert fleet.processes[1].poll() is None
        assert fleet.testimony()[-1]["at"] < boot_time() - 1, "nobody works any more"
        assert fleet.told_by("worker-0", "asked to stop"), "a process was asked as well"
    wait_until(lambda: len(fleet.told_by("job", "start")) == 2, 30, "the run after the lease")
    assert fleet.processes[1].poll() is None
    assert overlaps(fleet.testimony()) == []


def test_without_a_database_a_deaf_process_is_killed_and_its_node_lives_on(
    one_node, tmp_path, without_database
):
    fleet = one_node("deaf", params={"path": str(tmp_path / "witness.jsonl"), "seconds": 600})
    began = wait_until(lambda: fleet.told_by("job"), 30, "a run at work")[0]
    with without_database():
        wait_until(lambda: not is_alive(began["pid"]), TTL_SECONDS + 5, "the end of the process")
        hard_stop_at = time.monotonic() + 1
        wait_until(lambda: time.monotonic() > hard_stop_at + 1)
        assert fleet.processes[1].poll() is None
    wait_until(lambda: len(fleet.told_by("job", "start")) == 2, 30, "the run after the lease")
    assert overlaps(fleet.testimony()) == []


def test_without_a_database_a_deaf_job_in_the_loop_ends_its_node_before_the_lease_ends(
    nodes, without_database
):
    fleet = nodes(1, "deaf_once", timeout="10m")
    at_work(fleet)
    with without_database():
        assert fleet.wait_for_end(1, TTL_SECONDS + 5) == -signal.SIGKILL
    fleet.start(1)
    fleet.wait_ready()
    wait_until(lambda: fleet.told_by("job", "end"), 30, "the next run")
    assert overlaps(fleet.testimony()) == []
