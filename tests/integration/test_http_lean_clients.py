"""Clients that go away before their answer, on the lean path and with the handlers."""

import asyncio
from uuid import uuid4

import pytest
from http_service import Service, frozen_backend, until
from raw_http import post, read_raw
from two_ways import GOOD, OPENING, USER, counts

from server.money.amounts import Movement


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
