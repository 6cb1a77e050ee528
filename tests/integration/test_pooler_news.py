"""News behind PgBouncer: heard where a session stays ours, asked for where it does not."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from pooler import in_session_mode, remains
from structlog.testing import capture_logs

from server.postgres import listener as module
from server.postgres.listener import TRIAL_CHANNEL, Hearer, Listener, Mode

CHANNELS = ("task_events", "node_events")


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    monkeypatch.setattr(module, "POLL_SECONDS", 0.2)
    monkeypatch.setattr(module, "HEAR_SECONDS_MAX", 0.5)
    monkeypatch.setattr(module, "PROBE_SECONDS", 0.5)


class Hearing:
    """A listener, what it was told, and a sign of change that the test sets."""

    def __init__(self, url: str) -> None:
        self.heard: list[tuple[str, str]] = []
        self.readings = 0
        self.sign = 0
        self.listener = Listener(
            url, "listener of a test", CHANNELS, Hearer(self._notified, self._connected, self._look)
        )

    def _notified(self, channel: str, payload: str) -> None:
        self.heard.append((channel, payload))

    async def _connected(self) -> None:
        self.readings += 1

    async def _look(self) -> object:
        return self.sign

    async def until(self, condition) -> None:
        async with asyncio.timeout(30):
            while not condition():
                await asyncio.sleep(0.01)


@asynccontextmanager
async def hearing(url: str):
    one = Hearing(url)
    running = asyncio.create_task(one.listener.run())
    try:
        await one.until(lambda: one.readings > 0)
        yield one
    finally:
        assert not running.done(), "a listener never ends by itself"
        running.cancel()
        await asyncio.wait({running})


@pytest.mark.gen_test
async def test_in_transaction_mode_it_polls_warns_once_and_names_the_setting(database):
    with capture_logs() as logs:
        async with hearing(database.application_url) as one:
            assert one.listener.mode is Mode.POLLING
            assert one.heard == []
            one.sign += 1
            await one.until(lambda: one.heard == [(channel, "") for channel in CHANNELS])
    (warning,) = [line for line in logs if line["log_level"] == "warning"]
    assert "database.listen_url" in warning["event"]
    # Nobody else's transaction is to hear what this client wanted to.
    assert remains(database).channels <= {TRIAL_CHANNEL}


@pytest.mark.gen_test
async def test_past_the_pooler_it_listens(database):
    async with hearing(database.direct_url) as one:
        assert one.listener.is_listening
        with database.connect() as connection:
            connection.execute("select pg_notify('task_events', 'heard')")
        await one.until(lambda: one.heard == [("task_events", "heard")])


@pytest.mark.gen_test
async def test_in_session_mode_it_listens_through_the_pooler(database, server):
    with capture_logs() as logs:
        async with hearing(in_session_mode(database, server)) as one:
            assert one.listener.is_listening
            with database.connect() as connection:
                connection.execute("select pg_notify('node_events', 'heard')")
            await one.until(lambda: one.heard == [("node_events", "heard")])
            # Asked what it listens to, it still says so.
            await asyncio.sleep(2 * module.PROBE_SECONDS)
            assert one.listener.is_listening
    assert [line for line in logs if line["log_level"] == "warning"] == []


@pytest.mark.gen_test
async def test_it_tries_again_and_listens_as_soon_as_that_holds(database, server, monkeypatch):
    monkeypatch.setattr(module, "TRY_AGAIN_SECONDS", 0.5)
    async with hearing(database.application_url) as one:
        assert one.listener.mode is Mode.POLLING
        # Another pooler, as far as the listener can see.
        one.listener._profile = Hearing(in_session_mode(database, server)).listener._profile
        with capture_logs() as logs:
            await one.until(lambda: one.listener.is_listening)
    assert "notifications come again" in [line["event"] for line in logs]
