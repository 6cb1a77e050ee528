"""Money while things die: clients repeat with their keys, and the arithmetic is exact.

Each round breaks one thing in the middle of a burst. RINGFENCE__CHAOS_ROUNDS says how
often each is tried; `make chaos` tries ten times.
"""

import asyncio
import json
import os
import random
import signal
from collections.abc import Callable
from uuid import uuid4

import psycopg
import pytest
from persistent_clients import Clients, Witness
from service import Service, until

from server.postgres.embedded import EmbeddedServer

ROUNDS = int(os.environ.get("RINGFENCE__CHAOS_ROUNDS", "1"))
REQUESTS, AMOUNT = 3_000, 2
CONNECTIONS = 150
SEED = random.SystemRandom().randrange(1 << 32)
chance = random.Random(SEED)

Fault = Callable[[Service], None]


def kill_an_instance(service: Service) -> None:
    os.kill(service.pid_of(f"node-{chance.randint(1, service.instances)}"), signal.SIGKILL)


def terminate_the_money_connections(service: Service) -> None:
    with psycopg.connect(EmbeddedServer(service.folder / "var").superuser_url, autocommit=True) as connection:
        ended = connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name like '% money'"
        ).fetchall()
    assert ended, "there is a connection that moves money"


def stop_postgresql_at_once(service: Service) -> None:
    # What `pg_ctl stop -m immediate` sends; supervisord starts it again.
    os.kill(service.pid_of("postgres"), signal.SIGQUIT)


def kill_postgresql(service: Service) -> None:
    os.kill(service.pid_of("postgres"), signal.SIGKILL)


def open_account(service: Service, balance: int) -> int:
    body = json.dumps({"balance": balance})
    done = service.post("/users", body)
    assert done[0] == 201, done
    return done[1]["id"]


async def burst_with(service: Service, fault: Fault, user_id: int) -> Witness:
    clients = Clients(service.port, user_id, AMOUNT)
    keys = [str(uuid4()) for _ in range(REQUESTS)]
    sending = asyncio.create_task(clients.send(keys, CONNECTIONS, chance.randint(100, REQUESTS // 2)))
    await clients.answered.wait()
    await asyncio.to_thread(fault, service)
    return await sending


@pytest.mark.parametrize("attempt", range(ROUNDS))
@pytest.mark.parametrize(
    "fault",
    [kill_an_instance, terminate_the_money_connections, stop_postgresql_at_once, kill_postgresql],
)
def test_a_burst_with_keys_ends_exactly_whatever_dies_in_its_middle(service, fault, attempt):
    user_id = open_account(service, REQUESTS)
    witness = asyncio.run(burst_with(service, fault, user_id))
    assert witness.statuses == {200: REQUESTS // 2, 409: REQUESTS // 2}, f"seed {SEED}: {witness.repeats}"

    until(service.is_ready, "all are ready again")
    assert service.get(f"/users/{user_id}")[1]["balance"] == 0
    entries = {json.loads(body)["entryId"] for status, body in witness.outcomes.values() if status == 200}
    assert len(entries) == REQUESTS // 2, "each success has an entry of its own"
    status, report = service.get("/ledger/check")
    assert (status, report["isSound"]) == (200, True)
    # The opening entries of account 1 and of ours, and one for each success.
    assert report["entries"] == 2 + REQUESTS // 2
    assert len(witness.outcomes) == REQUESTS


def test_a_rolling_restart_under_load_loses_no_request(service):
    user_id = open_account(service, REQUESTS)

    def restart(running: Service) -> None:
        done = running.run("restart", seconds_max=240)
        assert done.returncode == 0, done.stdout + done.stderr

    async def load() -> Witness:
        clients = Clients(service.port, user_id, AMOUNT)
        restarting = asyncio.create_task(asyncio.to_thread(restart, service))
        bursts = 0
        while not restarting.done() or not bursts:
            await clients.send([str(uuid4()) for _ in range(500)], 40, 1)
            bursts += 1
        await restarting
        return clients.witness

    witness = asyncio.run(load())
    assert witness.repeats == {}, "every request was answered at its first sending"
    assert witness.statuses[200] == REQUESTS // 2
    assert service.get("/ledger/check")[1]["isSound"] is True
