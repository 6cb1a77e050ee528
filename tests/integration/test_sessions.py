"""One connection, blocking or of a loop: it ends when its time is over, whatever the network does.

The wire between stays open and acknowledges everything; so neither the kernel nor keepalives
say that the server has gone silent.
"""

import asyncio
import os
import socket
import threading
from time import monotonic

import psycopg
import pytest
from psycopg import conninfo
from wire import Wire

from server.postgres.faults import ConnectFailedError
from server.postgres.profile import Profile
from server.postgres.sessions import TimedAsyncConnection, TimedConnection

QUESTION = "select 1 as one"
AT_ONCE_SECONDS = 2.0
"""Far less than what is waited for otherwise, and much for a busy machine."""


@pytest.fixture
def wire(database):
    with Wire(database.application_url) as made:
        yield made


@pytest.fixture
def deaf():
    """Takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def profile(url: str, **how) -> Profile:
    return Profile(url, "session of a test", **{"call_seconds_max": 1.0, "open_seconds_max": 1.0} | how)


def several(url: str, *ports: int) -> str:
    """The URL of a wire with other servers before it."""
    port = conninfo.conninfo_to_dict(url)["port"]
    return conninfo.make_conninfo(
        url, host=",".join(["127.0.0.1"] * (len(ports) + 1)), port=",".join(map(str, [*ports, port]))
    )


async def until_gone(database, pid: int) -> None:
    """Returns when the server has ended a session."""
    with database.connect() as watcher:
        async with asyncio.timeout(20):
            while watcher.execute("select 1 from pg_stat_activity where pid = %s", [pid]).fetchone():
                await asyncio.sleep(0.05)


# A server that is silent on an established connection


@pytest.mark.gen_test
async def test_a_call_of_the_loop_to_a_silent_server_ends_at_its_deadline(wire):
    connection = await TimedAsyncConnection.open(profile(wire.url))
    assert (await (await connection.execute(QUESTION)).fetchone()).one == 1
    wire.silence()
    began = monotonic()
    with pytest.raises(psycopg.OperationalError, match="within 1 s"):
        await connection.execute(QUESTION)
    assert 0.9 < monotonic() - began < 1 + AT_ONCE_SECONDS
    assert connection.closed


def test_a_call_of_a_thread_to_a_silent_server_ends_at_its_deadline(wire):
    connection = TimedConnection.open(profile(wire.url))
    assert connection.execute(QUESTION).fetchone().one == 1
    wire.silence()
    began = monotonic()
    with pytest.raises(psycopg.OperationalError, match="within 1 s"):
        connection.execute(QUESTION)
    assert 0.9 < monotonic() - began < 1 + AT_ONCE_SECONDS
    assert connection.closed


@pytest.mark.gen_test
async def test_a_cancelled_call_to_a_silent_server_ends_at_once(wire):
    """The driver alone would ask the silent server to cancel, and wait for its answer."""
    connection = await TimedAsyncConnection.open(profile(wire.url, call_seconds_max=30))
    wire.silence()
    call = asyncio.create_task(connection.execute(QUESTION))
    await asyncio.sleep(0.2)
    began = monotonic()
    call.cancel()
    await asyncio.wait({call})
    assert call.cancelled()
    assert monotonic() - began < AT_ONCE_SECONDS
    assert connection.closed


@pytest.mark.gen_test
async def test_the_server_stops_what_nobody_waits_for_any_more(database):
    connection = await TimedAsyncConnection.open(profile(database.application_url, call_seconds_max=0.5))
    pid = connection.info.backend_pid
    with pytest.raises(psycopg.OperationalError):
        await connection.execute("select pg_sleep(60)")
    await until_gone(database, pid)


@pytest.mark.gen_test
async def test_a_connection_that_only_listens_is_woken_by_its_own_time_and_lives_on(database):
    connection = await TimedAsyncConnection.open(profile(database.application_url))
    await connection.execute("listen task_events")
    assert [one async for one in connection.notifies(timeout=1.3)] == []
    assert (await (await connection.execute(QUESTION)).fetchone()).one == 1
    await connection.close()


# Who can't be reached at all


@pytest.mark.gen_test
async def test_opening_ends_in_its_time_though_the_server_takes_connections_and_is_silent(deaf):
    url = f"postgresql://x@127.0.0.1:{deaf}/x?sslmode=disable&connect_timeout=30"
    began = monotonic()
    with pytest.raises(ConnectFailedError):
        await TimedAsyncConnection.open(profile(url))
    with pytest.raises(ConnectFailedError):
        await asyncio.to_thread(TimedConnection.open, profile(url))
    assert 1.8 < monotonic() - began < 2 + AT_ONCE_SECONDS


def test_opening_ends_in_its_time_though_the_name_servers_are_silent(monkeypatch):
    asked, answer = threading.Event(), threading.Event()

    def look_up(*_: object, **__: object) -> list:
        asked.set()
        answer.wait(30)
        raise socket.gaierror("nobody answered")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    began = monotonic()
    with pytest.raises(ConnectFailedError):
        TimedConnection.open(profile("postgresql://x@database.invalid/x", open_seconds_max=0.5))
    assert asked.is_set()
    assert monotonic() - began < 0.5 + AT_ONCE_SECONDS
    answer.set()


@pytest.mark.gen_test
async def test_a_first_host_that_is_silent_costs_one_attempt_and_not_each(wire, deaf):
    url = several(wire.url, deaf)
    with pytest.raises(ConnectFailedError):
        await TimedAsyncConnection.open(profile(url))
    for _ in range(3):  # and whoever answered is asked first from then on
        began = monotonic()
        async with await TimedAsyncConnection.open(profile(url)) as connection:
            assert (await (await connection.execute(QUESTION)).fetchone()).one == 1
        assert monotonic() - began < 0.9


@pytest.mark.gen_test
async def test_a_host_that_refuses_costs_no_attempt(wire):
    with socket.create_server(("127.0.0.1", 0)) as gone:
        nobody = gone.getsockname()[1]
    async with await TimedAsyncConnection.open(profile(several(wire.url, nobody))) as connection:
        assert (await (await connection.execute(QUESTION)).fetchone()).one == 1


# What the kernel is told, and what is known of an idle connection


@pytest.mark.gen_test
async def test_the_kernel_looks_after_idle_and_unacknowledged_connections(wire):
    blocking = await asyncio.to_thread(TimedConnection.open, profile(wire.url))
    waiting = await TimedAsyncConnection.open(profile(wire.url))
    for connection in (blocking, waiting):
        with socket.socket(fileno=os.dup(connection.fileno())) as sock:
            idle, interval, count = (
                sock.getsockopt(socket.IPPROTO_TCP, option)
                for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
            )
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert idle + count * interval <= 15
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 10_000
    blocking.close()
    await waiting.close()


@pytest.mark.gen_test
async def test_a_connection_that_the_server_ended_meanwhile_is_known_before_anything_is_sent(database):
    connection = await TimedAsyncConnection.open(profile(database.application_url))
    await connection.execute(QUESTION)
    assert not connection.has_been_told
    with database.connect() as other:
        other.execute("select pg_terminate_backend(%s)", [connection.info.backend_pid])
    async with asyncio.timeout(20):
        while not connection.has_been_told:
            await asyncio.sleep(0.01)
    await connection.close()
    assert connection.has_been_told
