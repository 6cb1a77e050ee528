"""A primary dies and its synchronous standby is promoted: two real servers, one URL that names both.

Who decides about the promotion is the test; `make ha` does the same under Patroni.
"""

import asyncio
import json
import sys
from uuid import uuid4

import pytest
from fleet import overlaps, wait_until
from pair import Pair, ask
from persistent_clients import Clients
from service import Service, product_environment, service_settings, until

REQUESTS, AMOUNT, CONNECTIONS = 3_000, 2, 100
TASKS = 4
WRITERS = "select count(*) from pg_stat_activity where application_name like 'ringfence node-%'"


@pytest.fixture
def pair(tmp_path):
    one = Pair(tmp_path)
    one.start()
    yield one
    one.stop()


@pytest.fixture
def witness(tmp_path):
    file = tmp_path / "witness.jsonl"
    file.touch()
    return file


@pytest.fixture
def service(tmp_path, project, pair, witness):
    """Three instances on the pair, with tasks that tell a witness what they do."""
    settings = service_settings(instances=3)
    settings["database"] = {"url": pair.url("ringfence"), "owner_url": pair.owner_url}
    settings["tasks"] = {
        f"task-{number}": {
            "function": "witness:work",
            "every": "3s",
            "params": {"path": str(witness), "seconds": 15},
        }
        for number in range(TASKS)
    }
    environment = product_environment(project)
    environment["PYTHONPATH"] += f":{project / 'tests' / 'cluster'}"
    folder = tmp_path / "service"
    folder.mkdir()
    one = Service(folder, [sys.executable, "-m", "server"], settings, environment)
    one.start()
    yield one
    one.clean_up()


def lines_of(file):
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_every_connection_ends_at_the_server_that_takes_writes_though_the_first_is_a_standby(service, pair):
    assert service.post("/withdraw", json.dumps({"userId": 1, "amount": 250}))[1]["balance"] == 9_750
    assert ask(pair.standby, "select pg_is_in_recovery()") is True
    # One for money comes with a node's first movement.
    wait_until(lambda: ask(pair.primary, WRITERS) > 3 * service.instances, why="connections of every node")
    assert ask(pair.standby, WRITERS) == 0


def test_a_burst_with_keys_ends_exactly_when_its_primary_is_killed_and_the_standby_promoted(
    service, pair, witness
):
    wait_until(lambda: len({line["task"] for line in lines_of(witness)}) == TASKS, why="all tasks run")
    user_id = service.post("/users", json.dumps({"balance": REQUESTS}))[1]["id"]

    async def burst():
        clients = Clients(service.port, user_id, AMOUNT)
        keys = [str(uuid4()) for _ in range(REQUESTS)]
        sending = asyncio.create_task(clients.send(keys, CONNECTIONS, REQUESTS // 5))
        await clients.answered.wait()
        await asyncio.to_thread(pair.kill_primary)
        assert len(clients.witness.outcomes) < REQUESTS, "the burst was still under way"
        await asyncio.to_thread(pair.promote_standby)
        return await sending

    seen = asyncio.run(burst())
    assert seen.statuses == {200: REQUESTS // 2, 409: REQUESTS // 2}, seen.repeats

    until(service.is_ready, "all are ready again")
    assert service.get(f"/users/{user_id}")[1]["balance"] == 0
    status, report = service.get("/ledger/check")
    assert (status, report["isSound"], report["entries"]) == (200, True, 2 + REQUESTS // 2)

    told = len(lines_of(witness))
    wait_until(lambda: len({line["task"] for line in lines_of(witness)[told:]}) == TASKS, 60, "work going on")
    assert overlaps(lines_of(witness)) == []
