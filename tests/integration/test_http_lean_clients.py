"""Clients that go away before their answer, on the lean path and with the handlers."""

import asyncio
import contextlib
from uuid import uuid4

import pytest
from http_service import Service, frozen_backend, is_untouched, read_answer, until
from raw_http import post, raw, read_raw
from structlog.testing import capture_logs
from two_ways import GOOD, OPENING, USER, counts

from server.money.amounts import Movement
from server.web import patience


@pytest.mark.gen_test(timeout=60)
async def test_an_unfinished_request_moves_nothing_on_both_ways(ways):
    for request in (post(GOOD)[:-1], post(GOOD).removesuffix(GOOD), post(GOOD)[:30]):
        for way in ways:
            user_id = (await way.node.bank.open_account(OPENING)).account.id
            _, writer = await way.node.connect()
            writer.write(request.replace(USER.encode(), str(user_id).encode()))
            await writer.drain()
            writer.close()
            await writer.wait_closed()
            assert (await way.node.bank.account(user_id)).balance == OPENING


@pytest.mark.gen_test(timeout=60)
async def test_a_request_whose_client_has_gone_before_it_was_sent_is_not_executed(ways):
    for way in ways:
        await leave_before_it_is_sent(way.node)
    lean, handlers = [await counts(way.node) for way in ways]
    assert lean == handlers


async def leave_before_it_is_sent(node: Service) -> None:
    gone, stays = str(uuid4()), str(uuid4())
    await node.bank.move("withdraw", Movement(1, 1))
    with frozen_backend(node):
        under_way = node.bank.move("withdraw", Movement(1, 1))
        await until(lambda: node.batcher.under_way)
        _, leaving = await send_withdrawal(node, gone)
        reader, staying = await send_withdrawal(node, stays)
        await until(lambda: node.batcher.waiting.movements == 2)
        leaving.close()
        await until(lambda: not all(one.wish.is_wanted() for one in node.batcher.waiting))
    await under_way
    assert (await read_raw(reader)).start == "HTTP/1.1 200 OK"
    staying.close()
    assert (await node.call("GET", f"/requests/{stays}")).status == 200
    assert (await node.call("GET", f"/requests/{gone}")).is_problem(404, "no_movement")


@pytest.mark.gen_test(timeout=60)
async def test_a_request_whose_client_goes_after_it_was_sent_is_executed(ways):
    for way in ways:
        await leave_after_it_was_sent(way.node)
    lean, handlers = [await counts(way.node) for way in ways]
    assert lean == handlers


async def leave_after_it_was_sent(node: Service) -> None:
    request_id = str(uuid4())
    await node.bank.move("withdraw", Movement(1, 1))
    with frozen_backend(node):
        _, leaving = await send_withdrawal(node, request_id)
        await until(lambda: node.batcher.under_way)
        (sent,) = node.batcher.under_way
        leaving.close()
        await until(lambda: not sent.wish.is_wanted())
    await node.batcher.drained()
    assert (await node.call("GET", f"/requests/{request_id}")).status == 200


async def send_withdrawal(
    node: Service, request_id: str
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await node.connect()
    writer.write(post(b'{"userId":1,"amount":1,"requestId":"%s"}' % request_id.encode()))
    return reader, writer


# Clients that are too slow


@pytest.fixture
def impatient(monkeypatch, service):
    monkeypatch.setattr(patience, "LOOK_SECONDS", 0.02)
    for name in ("idle_seconds_max", "body_seconds_max", "answer_seconds_max"):
        monkeypatch.setattr(service.door.patience, name, 0.3)


@pytest.mark.gen_test
@pytest.mark.parametrize(
    "sent", [b"", b"POST /withdraw HTTP/1.1\r\nHost: x\r\nContent-"], ids=["nothing", "half a head"]
)
async def test_a_connection_whose_head_does_not_come_in_time_is_closed(impatient, service, sent):
    reader, writer = await service.connect()
    writer.write(sent)
    assert await asyncio.wait_for(reader.read(), 20) == b""
    writer.close()


@pytest.mark.gen_test
@pytest.mark.parametrize("path", ["/withdraw", "/withdrawals"])
async def test_a_body_that_does_not_come_in_time_ends_its_connection_and_moves_nothing(
    impatient, service, path
):
    reader, writer = await service.connect()
    writer.write(post(b'{"userId":1,"amount":2}', path=path)[:-1])
    assert await asyncio.wait_for(reader.read(), 20) == b""
    writer.close()
    assert await is_untouched(service)


@pytest.mark.gen_test
async def test_who_waits_for_an_answer_is_not_too_slow(impatient, service):
    await service.call("POST", "/withdraw", {"userId": 1, "amount": 1})
    reader, writer = await service.connect()
    with frozen_backend(service):
        writer.write(post(b'{"userId":1,"amount":2}'))
        await until(lambda: service.batcher.under_way)
        # Somebody who sends nothing comes later and is sent away before.
        idle, other = await service.connect()
        assert await asyncio.wait_for(idle.read(), 20) == b""
        other.close()
    assert (await read_answer(reader)).status == 200
    writer.close()


@pytest.mark.gen_test
async def test_a_request_that_the_node_was_too_slow_to_read_is_neither_idle_nor_makes_room(service):
    reader, writer = await service.connect()
    await until(lambda: service.door.patience._arriving)
    # Until it is awaited the node's event loop has no turn, like one that a busy machine holds up.
    writer.write(post(b'{"userId":1,"amount":2}'))
    service.door.patience.close_idle(0)
    assert not service.door.patience.make_room()
    assert (await read_answer(reader)).status == 200
    writer.close()


@pytest.mark.gen_test
async def test_half_a_head_is_no_excuse_though_more_of_it_has_come(service):
    whole = post(b'{"userId":1,"amount":2}')
    reader, writer = await service.connect()
    writer.write(whole[:20])
    await until(lambda: service.door.patience._arriving)
    (arriving,) = service.door.patience._arriving
    await until(lambda: arriving._connection.stream._read_buffer_size == 20)
    writer.write(whole[20:30])
    service.door.patience.close_idle(0)
    with contextlib.suppress(ConnectionResetError):  # what was not read is thrown away with it
        assert await asyncio.wait_for(reader.read(), 20) == b""
    writer.close()
    assert await is_untouched(service)


# Too many clients


@pytest.mark.gen_test
async def test_one_connection_too_many_ends_the_one_that_is_silent_longest(service):
    service.server.connections_max = 3
    connections = [await service.connect() for _ in range(3)]
    await until(lambda: len(service.server._connections) == 3)
    connections.append(await service.connect())
    assert await asyncio.wait_for(connections[0][0].read(), 20) == b""
    for reader, writer in connections[1:]:
        writer.write(raw("GET /healthz HTTP/1.1", "Host: localhost"))
        assert (await read_answer(reader)).status == 200
    for _, writer in connections:
        writer.close()


@pytest.mark.gen_test
async def test_one_connection_too_many_is_refused_where_nobody_can_be_missed(service, monkeypatch):
    monkeypatch.setattr(service.door.patience, "make_room", lambda: False)
    service.server.connections_max = 1
    reader, writer = await service.connect()
    await until(lambda: len(service.server._connections) == 1)
    with capture_logs() as log:
        for _ in range(3):
            refused, other = await service.connect()
            assert (await read_answer(refused)).is_problem(503, "overloaded")
            assert await refused.read() == b""
            other.close()
    # A crowd of them must not become a crowd of lines; the metrics count each.
    assert [line["event"] for line in log if "are refused" in line["event"]] == [
        "connections are refused: all others have a request under way"
    ]
    assert service.door.patience.closed["refused"] == 3
    writer.write(raw("GET /healthz HTTP/1.1", "Host: localhost"))
    assert (await read_answer(reader)).status == 200
    writer.close()
