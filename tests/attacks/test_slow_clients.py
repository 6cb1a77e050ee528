"""Clients that take their time: with heads, with bodies, with answers, with nothing at all."""

import asyncio
import socket

import pytest
from target import BODY, PROBE, Target, request

pytestmark = pytest.mark.xdist_group("attacks")
SLOW = 300
IDLE = 10_000
READERS = 40
PIPELINED = 400
OPENING_AT_ONCE = 500


async def trickle(target: Target, data: bytes) -> bytes:
    """Sends a byte ten times a second until the node has enough of it; what it said."""
    reader, writer = await target.connect()
    try:
        writer.write(data[:-60])
        for byte in data[-60:]:
            if reader.at_eof():
                break
            writer.write(bytes([byte]))
            await asyncio.sleep(0.1)
        return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def slowly(target: Target, data: bytes) -> list[bytes]:
    """Many of them, while somebody in a hurry is served."""
    crowd = asyncio.gather(*(trickle(target, data) for _ in range(SLOW)))
    served = 0
    while not crowd.done():
        status, _ = await target.answer(PROBE)
        served += status == 200
        await asyncio.sleep(0.1)
    assert served >= 5
    return await crowd


def test_slow_heads_are_cut_off_while_others_are_served(target: Target) -> None:
    with target.unharmed():
        assert set(asyncio.run(slowly(target, request("POST /withdraw", f"X: {'x' * 60}", body=BODY)))) == {
            b""
        }


def test_slow_bodies_are_cut_off_while_others_are_served(target: Target) -> None:
    with target.unharmed():
        for path in ("/withdraw", "/withdrawals"):
            body = BODY.ljust(100)
            assert set(asyncio.run(slowly(target, request(f"POST {path}", body=body)[:-1]))) == {b""}


def test_who_takes_nothing_of_large_answers_is_cut_off(target: Target) -> None:
    # Each answer has 100 KB and more: what is asked for at once would be 4 GB.
    asks = request("GET /openapi.json") * 1_000

    async def deaf() -> None:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", target.port))
        reader, writer = await asyncio.open_connection(sock=sock, limit=1024)
        writer.transport.pause_reading()
        writer.write(asks)
        with pytest.raises(OSError):
            while True:
                writer.write(request("GET /"))
                await writer.drain()
                await asyncio.sleep(0.05)
        reader.feed_eof()
        writer.close()

    async def all_of_them() -> None:
        await asyncio.gather(*(deaf() for _ in range(READERS)))

    with target.unharmed():
        asyncio.run(all_of_them())


def test_ten_thousand_idle_connections_keep_nobody_from_being_served_and_are_closed(target: Target) -> None:
    async def idle() -> None:
        gate = asyncio.Semaphore(OPENING_AT_ONCE)

        async def open_one() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            async with gate:
                return await target.connect()

        connections = await asyncio.gather(*(open_one() for _ in range(IDLE)))
        for _ in range(10):
            assert (await target.answer(PROBE))[0] == 200
        async with asyncio.timeout(60):
            ends = await asyncio.gather(*(reader.read() for reader, _ in connections))
        assert set(ends) == {b""}
        for _, writer in connections:
            writer.close()

    with target.unharmed():
        asyncio.run(idle())


def test_hundreds_of_pipelined_requests_are_answered_in_order(target: Target) -> None:
    async def pipeline() -> list[bytes]:
        paths = ["/healthz", "/users/1", "/users/77", "/nowhere"]
        row = b"".join(request(f"GET {paths[number % 4]}") for number in range(PIPELINED))
        said = await target.said(row + request("GET /healthz", "Connection: close"))
        return [part[:3] for part in said.split(b"HTTP/1.1 ")[1:]]

    with target.unharmed():
        assert asyncio.run(pipeline()) == [b"200", b"200", b"404", b"404"] * (PIPELINED // 4) + [b"200"]
