"""Requests and the queue that they wait in, without a database."""

import asyncio
from time import monotonic
from uuid import uuid4

import pytest

from server.money.postings import Listing, Posting, Wish
from server.money.waiting import Waiting


@pytest.fixture
def loop():
    with asyncio.Runner() as runner:
        yield runner.get_loop()


@pytest.fixture
def queue(loop):
    return Waiting()


@pytest.fixture
def posting(loop):
    def make(user_id: int = 1, *, seconds: float = 60, wish: Wish | None = None, request_id: object = None):
        return Posting(
            deadline=monotonic() + seconds,
            answer=loop.create_future(),
            wish=wish or Wish(),
            user_id=user_id,
            amount=-1,
            request_id=str(request_id or uuid4()),
        )

    return make


@pytest.fixture
def listing(loop):
    def make(size: int):
        return Listing(
            deadline=monotonic() + 60,
            answer=loop.create_future(),
            user_ids=[1] * size,
            amounts=[-1] * size,
            request_ids=[str(uuid4()) for _ in range(size)],
            fingerprint=str(uuid4()),
        )

    return make
