"""The listener finds out by itself that it hears nothing, whatever the reason."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs
from wire import Wire

from server.errors import DatabaseUnavailableError
from server.postgres import listener as module
from server.postgres.listener import Hearer, Listener

NAME = "listener of a test"
FOUND_SECONDS = module.PROBE_SECONDS + module.ANSWER_SECONDS_MAX


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    """Asks twice a second, where the product asks every few seconds."""
    monkeypatch.setattr(module, "PROBE_SECONDS", 0.5)
    monkeypatch.setattr(module, "ANSWER_SECONDS_MAX", 0.5)


class Hearing:
    """A listener of task_events, what it heard, and how often it read the truth again."""

    def __init__(self, url: str) -> None:
        self.heard: list[str] = []
        self.readings = 0
        self.failures_to_come = 0
        hearer = Hearer(self._notified, self._connected, self._sign)
        self._listener = Listener(url, NAME, ("task_events", "node_events"), hearer)

    @property
    def is_listening(self) -> bool:
        return self._listener.is_listening

    async def run(self) -> None:
        await self._listener.run()

    def _notified(self, channel: str, payload: str) -> None:
        self.heard.append(payload)

    async def _sign(self) -> object:
        raise AssertionError("nobody polls where notifications come")

    async def _connected(self) -> None:
        if self.failures_to_come:
            self.failures_to_come -= 1
            raise DatabaseUnavailableError("the members could not be read")
        self.readings += 1

    async def until(self, condition) -> None:
        async with asyncio.timeout(30):
            while not condition():
                await asyncio.sleep(0.01)


@asynccontextmanager
async def hearing(url: str, failures: int = 0):
    one = Hearing(url)
    one.failures_to_come = failures
    running = asyncio.create_task(one.run())
    try:
        await one.until(lambda: one.readings == 1)
        yield one
    finally:
        assert not running.done(), "a listener never ends by itself"
        running.cancel()
        await asyncio.wait({running})


@pytest.fixture
def connection(database):
    with database.connect() as found:
        yield found


def say(connection, word: str) -> None:
    connection.execute("select pg_notify('task_events', %s)", [word])


@pytest.mark.gen_test
async def test_every_notification_is_heard_in_order_probes_or_not(database, connection):
    async with hearing(database.application_url) as one:
        for word in map(str, range(300)):
            say(connection, word)
            await asyncio.sleep(0.005)
        await one.until(lambda: len(one.heard) == 300)
        assert one.heard == [str(word) for word in range(300)]
        assert one.readings == 1


@pytest.mark.gen_test
async def test_a_connection_that_falls_silent_is_given_up_and_the_truth_read_again(database, connection):
    with Wire(database.application_url) as wire:
        async with hearing(wire.url) as one:
            wire.silence()
            say(connection, "not heard")
            await one.until(lambda: not one.is_listening)
            wire.heal()
            await one.until(lambda: one.readings == 2)
            say(connection, "heard")
            await one.until(lambda: "heard" in one.heard)


def test_a_silent_connection_is_found_within_ten_seconds():
    assert FOUND_SECONDS <= 10


@pytest.mark.gen_test
async def test_behind_a_pooler_that_hands_it_another_session_it_says_so_and_listens_again(
    database, connection
):
    with Wire(database.application_url) as wire:
        async with hearing(wire.url) as one:
            with capture_logs() as logs:
                wire.swap_sessions()
                await one.until(lambda: one.readings == 2)
            say(connection, "heard")
            await one.until(lambda: one.heard == ["heard"])
    (line,) = [line for line in logs if line["log_level"] == "warning"]
    assert "pooler" in line["error"]
    assert "node_events, task_events" in line["error"]


@pytest.mark.gen_test
async def test_a_terminated_connection_is_replaced_once_and_not_in_a_circle(database, connection):
    async with hearing(database.application_url) as one:
        for cut in range(1, 4):
            await one.until(
                lambda: connection.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity"
                    " where datname = current_database() and application_name like %s",
                    [f"{NAME}%"],
                ).fetchone()
            )
            await one.until(lambda cut=cut: one.readings == cut + 1)
        say(connection, "heard")
        await one.until(lambda: one.heard == ["heard"])
        assert one.readings == 4


@pytest.mark.gen_test
async def test_a_truth_that_can_not_be_read_does_not_end_the_listener(database, connection):
    async with hearing(database.application_url, failures=2) as one:
        say(connection, "heard")
        await one.until(lambda: one.heard == ["heard"])
