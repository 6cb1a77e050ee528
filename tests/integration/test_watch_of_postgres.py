"""The watch before a sweep, over a real PostgreSQL whose clock steps, and that restarts and fails over."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from threading import Thread
from urllib.parse import quote

import psycopg
import pytest
from beating import TTL_SECONDS, Beating
from fake_node import wait_until
from stepped_clock import SteppedClock

from server.cluster.lease import boot_time
from server.postgres import migrations
from server.postgres.binaries import run, server_argv
from server.postgres.embedded import EmbeddedServer

AT_ONCE_SECONDS = 1.5  # a few heartbeats, on a busy machine


def seconds_until_swept(beating: Beating, disturb: Callable[[], object] = lambda: None) -> float:
    """How long a member lives whose lease passes right after something happened, when the watch was complete."""
    beating.register("first", timedelta(milliseconds=1))
    wait_until(lambda: beating.state("first") == "dead", 30)
    began = boot_time()
    disturb()
    beating.register("second", timedelta(milliseconds=1))
    wait_until(lambda: beating.state("second") == "dead", 60)
    return boot_time() - began


@pytest.fixture
def beating(database) -> Iterator[Beating]:
    with database.connect() as connection, Beating(database.application_url, connection) as beating:
        yield beating


def test_nobody_is_swept_before_one_ttl_was_watched_and_then_at_once(database):
    with database.connect() as connection:
        beating = Beating(database.application_url, connection)
        beating.register("expired", timedelta(milliseconds=1))
        began = boot_time()
        with beating:
            wait_until(lambda: beating.state("expired") == "dead", 30)
            assert boot_time() - began > TTL_SECONDS
            assert seconds_until_swept(beating) < AT_ONCE_SECONDS


@pytest.mark.parametrize("seconds", [3600, -3600, 1.5, -1.5])
def test_after_a_step_of_the_clock_nobody_is_swept_for_one_ttl(server, database, seconds):
    clock = SteppedClock(server, database.name)
    with database.connect() as connection, Beating(database.application_url, connection) as beating:
        assert seconds_until_swept(beating, lambda: clock.step(seconds)) > TTL_SECONDS
        assert beating.refusals == 0


def test_a_living_member_whose_lease_a_step_made_look_over_has_time_to_renew(server, database):
    clock = SteppedClock(server, database.name)
    with database.connect() as connection, Beating(database.application_url, connection) as beating:
        incarnation = beating.register("living", timedelta(seconds=600))
        seconds_until_swept(beating, lambda: clock.step(500))
        renewed = connection.execute("select renewed from heartbeat('living', %s)", [incarnation]).fetchone()
        assert renewed == (True,)
        assert beating.state("living") == "live"


def test_after_its_connection_was_cut_nobody_is_swept_for_one_ttl(beating):
    def cut() -> None:
        beating.connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and application_name = 'ringfence watcher heartbeat'"
        )

    assert seconds_until_swept(beating, cut) > TTL_SECONDS


@pytest.fixture(scope="module")
def primary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """A server of this module's own, with a migrated database."""
    server = EmbeddedServer(tmp_path_factory.mktemp("primary"))
    server.start()
    migrations.upgrade(server.owner_url, server.application_url)
    yield server
    server.stop()


def connect_to_empty(server: EmbeddedServer) -> psycopg.Connection:
    """A connection to a cluster without members."""
    connection = psycopg.connect(server.application_url, autocommit=True)
    connection.execute("select leave_cluster(name, incarnation) from nodes")
    return connection


def test_after_a_restart_nobody_is_swept_for_one_ttl(primary):
    moments = []
    with Beating(primary.application_url, connect_to_empty(primary)) as beating:

        def restart() -> None:
            beating.connection.close()
            primary.stop()
            moments.append(boot_time())
            primary.start()
            beating.connection = psycopg.connect(primary.application_url, autocommit=True)

        seconds_until_swept(beating, restart)
        assert boot_time() - moments[0] > TTL_SECONDS
        beating.connection.close()


def either(one: EmbeddedServer, other: EmbeddedServer) -> str:
    """The URL of whichever of two servers takes writes."""
    hosts = ",".join(str(server.socket_folder) for server in (one, other))
    return (
        f"postgresql://ringfence@/ringfence?host={quote(hosts, safe='')}&port=5432,5432"
        "&target_session_attrs=read-write"
    )


def clone(primary: EmbeddedServer, folder: Path) -> EmbeddedServer:
    """A standby that follows the primary; it is not started yet."""
    standby = EmbeddedServer(folder)
    argv = server_argv(
        "pg_basebackup",
        *("--dbname", f"host={primary.socket_folder} port=5432 user=postgres"),
        *("--pgdata", str(standby.data_folder)),
        *("--write-recovery-conf", "--wal-method=stream", "--checkpoint=fast"),
    )
    run(argv, "making the standby")
    return standby


def answers(url: str) -> bool:
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return False
    return True


def test_after_a_promotion_the_timeline_is_another_and_nobody_is_swept_for_one_ttl(primary, tmp_path):
    members = connect_to_empty(primary)
    standby = clone(primary, tmp_path)
    # start() returns when the server takes writes, so not before the promotion.
    starting = Thread(target=standby.start)
    starting.start()
    wait_until(lambda: answers(standby.application_url), 60)
    told, moments = [], []
    with Beating(either(primary, standby), members) as beating:

        def ask() -> None:
            told.append(beating.connection.execute("select timeline from cluster_clock()").fetchone()[0])

        def fail_over() -> None:
            ask()
            beating.connection.close()
            primary.stop()
            beating.connection = psycopg.connect(standby.application_url, autocommit=True)
            ask()
            moments.append(boot_time())
            with psycopg.connect(standby.superuser_url, autocommit=True) as superuser:
                superuser.execute("select pg_promote()")
            starting.join()
            ask()

        seconds_until_swept(beating, fail_over)
        assert boot_time() - moments[0] > TTL_SECONDS
        assert beating.refusals == 0
        beating.connection.close()
    standby.stop()
    before, meanwhile, after = told
    assert meanwhile is None
    assert before == "00000001"
    assert after == "00000002"
