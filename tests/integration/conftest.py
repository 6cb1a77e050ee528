"""Fixtures of the tests that speak HTTP with the application."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cluster_rows import Cluster
from fake_node import FakeNode
from http_service import Service
from tornado.ioloop import IOLoop
from two_ways import Way

from server.cron.catalogue import Catalogue


@pytest.fixture
def io_loop() -> Iterator[IOLoop]:
    """As pytest-tornado's, made current by asyncio, since Tornado has deprecated its own way."""
    loop = IOLoop(make_current=False)
    asyncio.set_event_loop(loop.asyncio_loop)
    yield loop
    asyncio.set_event_loop(None)
    loop.close(all_fds=True)


@pytest.fixture
def service(io_loop: IOLoop, database, tmp_path: Path) -> Iterator[Service]:
    """One node's HTTP side over a fresh database: account 1 with 10,000."""
    running = Service(database, tmp_path)
    io_loop.run_sync(running.start)
    yield running
    io_loop.run_sync(running.stop)


@pytest.fixture
def hasty_service(io_loop: IOLoop, database, tmp_path: Path) -> Iterator[Service]:
    """A node whose requests wait a second and no longer."""
    running = Service(database, tmp_path, deadline_seconds=1.0)
    io_loop.run_sync(running.start)
    yield running
    io_loop.run_sync(running.stop)


@pytest.fixture
def guarded(io_loop: IOLoop, database, tmp_path: Path) -> Iterator[Service]:
    """A node that needs tokens; it has read them once, when there were none."""
    running = Service(database, tmp_path, tokens=True)
    io_loop.run_sync(running.start)
    io_loop.run_sync(running.keyring.read)
    yield running
    io_loop.run_sync(running.stop)


@pytest.fixture
def ways(io_loop: IOLoop, database, tmp_path: Path) -> Iterator[tuple[Way, Way]]:
    """The lean path and the handlers, over one database whose ids all have six digits."""
    with database.connect_as_owner() as owner:
        owner.execute("alter table users alter column id restart with 100001")
        owner.execute("alter table entries alter column id restart with 100001")
    lean, handlers = Service(database, tmp_path), Service(database, tmp_path, name="node-2")
    handlers.is_bare = True
    for node in (lean, handlers):
        io_loop.run_sync(node.start)
    yield Way(lean, "lean"), Way(handlers, "full")
    for node in (lean, handlers):
        io_loop.run_sync(node.stop)


@pytest.fixture
def cluster(service, database):
    """Three nodes and three tasks that are due; only `backup` is in this node's configuration."""
    found = Cluster(database)
    found.join("node-1", "node-2", "node-3")
    found.define(Catalogue.from_settings(service.settings), "report", "sweep")
    yield found
    found.connection.close()


@pytest.fixture
def fake_node(tmp_path: Path) -> Iterator[Callable[..., FakeNode]]:
    """Starts nodes that hold a lock and jobs, and ends what is left of them."""
    made: list[FakeNode] = []

    def make(lease_seconds: float, *programs: str, **how: dict[int, float | None]) -> FakeNode:
        made.append(FakeNode(tmp_path / "locks", lease_seconds, *programs, **how))
        return made[-1]

    yield make
    for node in made:
        node.close()
