"""What a client is told when the database is slow, away or wrong."""

import asyncio
import os
import signal
from uuid import uuid4

import psycopg
import pytest
from http_service import Service, insist, is_untouched, until, until_somebody_waits_for_a_lock
from structlog.testing import capture_logs

from server.errors import UserNotFoundError
from server.web import health


@pytest.fixture
def hasty_service(io_loop, database, tmp_path):
    """A node whose requests wait half a second and no longer."""
    running = Service(database, tmp_path, deadline_seconds=0.5)
    io_loop.run_sync(running.start)
    yield running
    io_loop.run_sync(running.stop)


async def frozen_backend(service) -> int:
    """The pid of the server process behind the money path's connection; frozen until SIGCONT."""
    await service.call("POST", "/withdraw", {"userId": 1, "amount": 1})
    pid = service.poster._connection.info.backend_pid
    os.kill(pid, signal.SIGSTOP)
    return pid


@pytest.mark.gen_test(timeout=30)
async def test_sent_and_unanswered_at_the_deadline_is_an_unknown_outcome_that_can_be_repeated(hasty_service):
    body = {"userId": 1, "amount": 30, "requestId": str(uuid4())}
    backend = await frozen_backend(hasty_service)
    try:
        answer = await hasty_service.call("POST", "/withdraw", body)
    finally:
        os.kill(backend, signal.SIGCONT)
    assert answer.is_problem(503, "outcome_unknown")
    assert answer.json["requestId"] == body["requestId"]
    assert answer.headers["Retry-After"] == "1"
    again = await insist(lambda: hasty_service.call("POST", "/withdraw", body))
    assert again.status == 200
    entries = (await hasty_service.get("/users/1/entries"))["entries"]
    assert [entry["amount"] for entry in entries if entry["requestId"] == body["requestId"]] == [-30]
    assert sum(entry["amount"] for entry in entries) == (await hasty_service.get("/users/1"))["balance"]


@pytest.mark.gen_test(timeout=30)
async def test_an_account_that_somebody_holds_until_the_deadline_is_busy_and_nothing_happened(
    hasty_service, database
):
    with psycopg.connect(database.direct_url) as rival:
        rival.execute("select * from withdraw(1, 1)")
        answer = await hasty_service.call("POST", "/withdraw", {"userId": 1, "amount": 30})
        assert answer.is_problem(503, "account_busy")
        assert answer.headers["Retry-After"] == "1"
        rival.rollback()
    assert await is_untouched(hasty_service)


@pytest.mark.gen_test(timeout=30)
async def test_a_connection_lost_in_the_middle_is_repeated_and_counts_once(service, database):
    with psycopg.connect(database.direct_url) as rival, database.connect() as killer:
        rival.execute("select * from withdraw(1, 1)")
        asked = asyncio.create_task(service.call("POST", "/withdraw", {"userId": 1, "amount": 30}))
        await until_somebody_waits_for_a_lock(database)
        killer.execute(
            """select pg_terminate_backend(pid) from pg_stat_activity
               where wait_event_type = 'Lock' and datname = current_database()"""
        )
        await until_somebody_waits_for_a_lock(database)
        rival.commit()
        answer = await asked
    assert answer.status == 200
    assert answer.json["balance"] == 9969
    assert len((await service.get("/users/1/entries"))["entries"]) == 3


@pytest.mark.gen_test(timeout=60)
async def test_without_a_database_every_route_that_needs_it_is_a_503_that_says_when_to_return(
    io_loop, database, tmp_path
):
    away = type(database)("away", *["postgresql:///x?host=/nowhere&user=x"] * 3)
    service = Service(away, tmp_path, deadline_seconds=0.3)
    await service.start()
    try:
        for answer in (
            await service.call("POST", "/withdraw", {"userId": 1, "amount": 1}),
            await service.call("POST", "/users", {"balance": 1}),
            await service.call("GET", "/users/1"),
        ):
            assert answer.is_problem(503, "database_unavailable")
            assert answer.headers["Retry-After"] == "1"
            assert b"nowhere" not in answer.body
        assert (await service.call("GET", "/healthz")).status == 200
        ready = await service.call("GET", "/readyz")
        assert ready.is_problem(503, "not_ready")
        assert ready.json["reasons"] == ["the database does not answer"]
    finally:
        await service.stop()


@pytest.mark.gen_test
async def test_a_node_whose_connections_for_reading_are_all_busy_is_ready_as_long_as_others_get_answers(
    service, monkeypatch
):
    monkeypatch.setattr(health, "PROBE_SECONDS_MAX", 0.5)
    busy = [asyncio.create_task(service.database.rows("select pg_sleep(2)")) for _ in range(2)]
    await until(lambda: service.database.statistics()["pool_available"] == 0)
    asked = asyncio.create_task(service.call("GET", "/readyz"))
    while not asked.done():
        assert (await service.call("POST", "/withdraw", {"userId": 1, "amount": 1})).status == 200
    assert asked.result().status == 200
    assert not busy[0].done()
    for one in busy:
        await one


@pytest.mark.gen_test
async def test_an_unexpected_error_is_a_500_without_internals_and_one_line_in_the_log(service, monkeypatch):
    def break_down(*_request):
        raise KeyError("secret of the inside")

    monkeypatch.setattr(service.bank, "move", break_down)
    with capture_logs() as logs:
        answer = await service.call("POST", "/withdraw", {"userId": 1, "amount": 1})
    assert answer.is_problem(500, "internal_error")
    assert b"secret" not in answer.body
    assert [line["instance"] for line in logs if line["log_level"] == "error"] == [answer.json["instance"]]
    assert (await service.call("GET", "/users/1")).status == 200


@pytest.mark.gen_test
async def test_an_error_that_a_handler_raises_on_purpose_is_not_logged_as_one(service, monkeypatch):
    def refuse(*_request):
        raise UserNotFoundError(1)

    monkeypatch.setattr(service.bank, "move", refuse)
    with capture_logs() as logs:
        assert (await service.call("POST", "/withdraw", {"userId": 1, "amount": 1})).status == 404
    assert {line["log_level"] for line in logs} == {"debug"}
