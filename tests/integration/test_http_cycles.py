"""What a request held goes with its connection: a cycle would keep a body of megabytes until the next
collection of garbage, which is rare here on purpose."""

import asyncio
import gc
from collections import Counter
from time import monotonic

import pytest
from tornado.http1connection import HTTP1Connection
from tornado.httputil import HTTPServerRequest
from tornado.web import RequestHandler

from server.web.lean import _Fork

KINDS = (RequestHandler, HTTPServerRequest, HTTP1Connection, _Fork)
LARGE = b'{"withdrawals":[{"userId":1,"amount":1}]' + b" " * 600_000 + b"}"
REQUESTS = {
    "a list": ("POST /withdrawals", LARGE),
    "a list that is no JSON": ("POST /withdrawals", b'{"withdrawals":' + b"[" * 600_000),
    "a list with a false amount": ("POST /withdrawals", b'{"withdrawals":[{"userId":1,"amount":-1}]}'),
    "a body beyond the limit": ("POST /withdrawals", b" " * 3_000_000),
    "a withdrawal": ("POST /withdraw", b'{"userId":1,"amount":1}'),
    "a withdrawal beyond the balance": ("POST /withdraw", b'{"userId":1,"amount":99999}'),
    "a deposit by the handlers": ("POST /deposit?", b'{"userId":1,"amount":1}'),
    "a new account": ("POST /users", b'{"balance":1}'),
    "an account": ("GET /users/1", b""),
    "entries": ("GET /users/1/entries", b""),
    "tasks": ("GET /tasks", b""),
    "a task that is none": ("POST /tasks/none/run", b"{}"),
    "a path that is none": ("GET /none", b""),
    "a method that is none": ("PUT /tasks", b"{}"),
    "a false parameter": ("GET /runs?limit=x", b""),
}


@pytest.fixture
def others():
    """What other tests have left, and no collection from here on."""
    gc.collect()
    gc.disable()
    yield {id(thing) for thing in gc.get_objects() if isinstance(thing, KINDS)}
    gc.enable()


def living(others: set[int]) -> Counter[str]:
    """All of which a request is made, whether something leads to it or only a collection would free it."""
    found = (thing for thing in gc.get_objects() if isinstance(thing, KINDS) and id(thing) not in others)
    return Counter(type(thing).__name__ for thing in found)


@pytest.mark.gen_test
@pytest.mark.parametrize("kind", REQUESTS)
async def test_nothing_of_a_request_outlives_its_connection(service, others, kind):
    start, body = REQUESTS[kind]

    async def ask() -> bytes:
        reader, writer = await service.connect()
        head = (
            f"{start} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n"
        )
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        said = await asyncio.wait_for(reader.read(), 20)
        writer.close()
        return said

    assert (await ask()).startswith(b"HTTP/1.1 ")
    deadline = monotonic() + 10
    while found := living(others):
        assert monotonic() < deadline, found
        await asyncio.sleep(0.02)
    assert service.door.patience.closed["idle"] == 0
