"""GET /money/pulse: what the money path did, second by second, of all nodes together."""

import asyncio

import pytest
from http_service import Service, open_account

from server.money.pulse import Teller

FIGURES = ("withdrawals", "deposits", "refused", "batches", "movements")


async def told(service, *nodes) -> dict[str, int]:
    """The sums of the last minutes, once every node has told what it did; the running second included."""
    for node in nodes:
        figures = node.batcher.tally.take()
        if figures:
            await Teller(node.database, node.door.services.node_name, node.batcher.tally)._tell(figures)
    async with asyncio.timeout(10):
        while True:
            seconds = (await service.get("/money/pulse?seconds=300"))["seconds"]
            sums = {name: sum(one[name] for one in seconds) for name in FIGURES}
            if sums["batches"]:
                return sums | {"largest": max(one["largestBatch"] for one in seconds)}
            await asyncio.sleep(0.05)  # the second in which it was told must end


@pytest.mark.gen_test
async def test_each_of_the_last_seconds_is_told_and_a_quiet_one_is_zero(service):
    pulse = await service.get("/money/pulse?seconds=5")
    moments = [one["at"] for one in pulse["seconds"]]
    assert len(moments) == 5
    assert moments == sorted(set(moments))
    assert moments[-1] < pulse["at"]
    assert all(one[name] == 0 for one in pulse["seconds"] for name in FIGURES)
    assert len((await service.get("/money/pulse"))["seconds"]) == 60


@pytest.mark.gen_test
async def test_withdrawals_deposits_and_refusals_are_counted_and_a_repetition_moves_nothing_again(service):
    key = {"Idempotency-Key": "once"}
    for _ in range(2):
        await service.call("POST", "/withdraw", {"userId": 1, "amount": 1}, key)
    await service.call("POST", "/deposit", {"userId": 1, "amount": 1})
    await service.call("POST", "/withdraw", {"userId": 1, "amount": 99_999})
    await service.call("POST", "/withdrawals", {"withdrawals": [{"userId": 1, "amount": 1}] * 3})
    assert await told(service, service) == {
        "withdrawals": 4, "deposits": 1, "refused": 1, "batches": 5, "movements": 7, "largest": 3,
    }  # fmt: skip


@pytest.mark.gen_test
async def test_every_node_tells_the_sum_of_all(service, database, tmp_path):
    other = Service(database, tmp_path, name="node-2")
    await other.start()
    try:
        for node in (service, other):
            account = await open_account(node, 10)
            await node.call("POST", "/withdraw", {"userId": account, "amount": 1})
        sums = await told(service, service, other)
        assert (sums["withdrawals"], sums["batches"]) == (2, 2)
        assert await told(other) == sums
    finally:
        await other.stop()


@pytest.mark.gen_test
async def test_a_node_tells_by_itself_once_a_second(service):
    telling = asyncio.create_task(Teller(service.database, "node-1", service.batcher.tally).run())
    await service.call("POST", "/withdraw", {"userId": 1, "amount": 1})
    assert (await told(service))["withdrawals"] == 1
    telling.cancel()
    await asyncio.wait({telling})


@pytest.mark.gen_test
async def test_what_is_old_is_forgotten(service, database):
    with database.connect_as_owner() as owner:
        owner.execute(
            "insert into money_pulse values (clock_timestamp() - interval '11 minutes', 'node-9', 1, 1, 1, 1, 1, 1)"
        )
    await service.call("POST", "/withdraw", {"userId": 1, "amount": 1})
    await told(service, service)
    with database.connect() as connection:
        assert connection.execute("select distinct node from money_pulse").fetchall() == [("node-1",)]


@pytest.mark.parametrize("seconds", ["0", "301", "x"])
@pytest.mark.gen_test
async def test_it_tells_of_five_minutes_at_most(service, seconds):
    answer = await service.call("GET", f"/money/pulse?seconds={seconds}")
    assert answer.is_problem(422, "invalid_request")
