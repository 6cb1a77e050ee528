"""Fixtures of the tests that speak HTTP with the application."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from http_service import Service, new_loop
from tornado.ioloop import IOLoop


@pytest.fixture
def io_loop() -> Iterator[IOLoop]:
    """As pytest-tornado's, without making the loop current, which Tornado has deprecated."""
    loop = new_loop()
    yield loop
    loop.close(all_fds=True)


@pytest.fixture
def service(io_loop: IOLoop, database, tmp_path: Path) -> Iterator[Service]:
    """One node's HTTP side over a fresh database: account 1 with 10,000."""
    running = Service(database, tmp_path)
    io_loop.run_sync(running.start)
    yield running
    io_loop.run_sync(running.stop)
