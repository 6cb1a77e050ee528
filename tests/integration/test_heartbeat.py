"""The heartbeat on a real database: what it counts from, how long it tries, when it gives up."""

import contextlib
import socket
import threading
from datetime import timedelta
from itertools import pairwise

import psycopg
import pytest
from beating import TTL_SECONDS, Beating
from fake_node import wait_until

from server.cluster.heartbeat import ATTEMPT_SECONDS_MAX, BACK_OFF_SECONDS_MAX
from server.cluster.lease import boot_time


@pytest.fixture
def connection(database):
    with database.connect() as found:
        yield found


def test_a_slow_answer_does_not_lengthen_the_lease(database, connection):
    """The node counts from before it sent; what the database grants later ends later."""
    with Beating(database.application_url, connection) as beating:
        wait_until(lambda: beating.leases)
        with psycopg.connect(database.owner_url) as holder:
            holder.execute("select from nodes for update")
            waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
            wait_until(lambda: connection.execute(waiting).fetchone() == (1,))
            seen, blocked_at = len(beating.leases), boot_time()
            wait_until(lambda: boot_time() > blocked_at + 0.7)
            holder.rollback()
        wait_until(lambda: len(beating.leases) > seen)
    assert beating.leases[seen].sent_at <= blocked_at
    assert beating.leases[seen].hard_stop_at <= blocked_at + TTL_SECONDS - beating.pace.margin_seconds


def test_an_attempt_ends_within_its_seconds_also_while_it_connects(database, connection):
    """So that several fit into a lease, whatever the connection string says about connecting."""
    accepted: list[tuple[float, socket.socket]] = []
    with socket.create_server(("127.0.0.1", 0)) as deaf:

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    client, _ = deaf.accept()
                    accepted.append((boot_time(), client))

        acceptor = threading.Thread(target=accept, daemon=True)
        acceptor.start()
        port = deaf.getsockname()[1]
        url = (
            f"postgresql://ringfence@127.0.0.1:{port}/x?sslmode=disable&gssencmode=disable&connect_timeout=30"
        )
        with Beating(url, connection) as beating:
            wait_until(lambda: len(accepted) >= 4, 30)
            beating.thread.stop()
        deaf.shutdown(socket.SHUT_RDWR)
        acceptor.join()
    moments = [moment for moment, _ in accepted]
    for _, one in accepted:
        one.close()
    pauses = [later - earlier for earlier, later in pairwise(moments)]
    assert min(pauses) < ATTEMPT_SECONDS_MAX + BACK_OFF_SECONDS_MAX + 0.4


def test_a_refused_heartbeat_is_the_last_one(database, connection):
    with Beating(database.application_url, connection) as beating:
        wait_until(lambda: beating.leases)
        connection.execute("select declare_dead('watcher', %s, 'test')", [beating.incarnation])
        beating.thread.join(10)
        assert not beating.thread.is_alive()
    assert beating.refusals == 1


def test_a_name_that_has_another_incarnation_is_not_renewed_by_the_one_before(database, connection):
    with Beating(database.application_url, connection) as beating:
        wait_until(lambda: beating.leases)
        connection.execute("select declare_dead('watcher', %s, 'test')", [beating.incarnation])
        beating.register("watcher", timedelta(seconds=60))
        expires = connection.execute("select lease_expires_at from nodes").fetchone()
        beating.thread.join(10)
    assert beating.refusals == 1
    assert connection.execute("select lease_expires_at from nodes").fetchone() == expires


def test_the_lease_of_each_member_is_as_long_as_that_member_asked_for(database, connection):
    """Whoever judges reads the recorded end, and never a setting of its own."""
    with Beating(database.application_url, connection, timedelta(seconds=40)) as beating:
        wait_until(lambda: beating.leases)
        left = "select lease_expires_at - heartbeat_at between '39.9 s' and '40.1 s' from nodes where name = 'watcher'"
        assert connection.execute(left).fetchone() == (True,)


def test_a_heartbeat_that_fails_in_a_way_nobody_foresaw_gives_the_lease_up(database, connection):
    """Then the node joins anew; with neither a heartbeat nor a word of its end it would do nothing for ever."""

    class Failing(Beating):
        def renewed(self, lease, beat) -> None:
            raise RuntimeError("nobody foresaw this")

    with Failing(database.application_url, connection) as beating:
        beating.thread.join(10)
        assert not beating.thread.is_alive()
    assert beating.refusals == 1


def test_a_migration_that_changes_what_a_heartbeat_returns_costs_its_session_and_no_lease(
    database, connection
):
    def pid() -> int | None:
        row = connection.execute(
            "select pid from pg_stat_activity where application_name = 'ringfence watcher heartbeat'"
        ).fetchone()
        return row[0] if row else None

    with Beating(database.application_url, connection) as beating:
        wait_until(lambda: len(beating.beats) > 6)  # until the statement is surely prepared
        before = pid()
        with database.connect_as_owner() as owner, owner.transaction():
            (source,) = owner.execute(
                "select pg_get_functiondef('heartbeat(text, bigint)'::regprocedure)"
            ).fetchone()
            owner.execute("drop function heartbeat(text, bigint)")
            owner.execute(source.replace("membership bigint", "membership numeric").encode())
            owner.execute("grant execute on function heartbeat(text, bigint) to ringfence")
        seen = len(beating.beats)
        # "cached plan must not change result type" is what the old session says.
        wait_until(lambda: len(beating.beats) > seen + 2)
        assert pid() != before
    assert beating.refusals == 0
