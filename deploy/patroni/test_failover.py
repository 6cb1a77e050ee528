"""`make ha`: six nodes on a pair under Patroni, whose primary is killed in the middle of a burst."""

import asyncio
import json
import os
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from fleet import overlaps, wait_until
from loopback import NAMES, Database
from persistent_clients import Clients, Witness
from service import Service, product_environment, service_settings, until

PROJECT = Path(__file__).resolve().parents[2]
REQUESTS, AMOUNT, BALANCE, CONNECTIONS = 10_000, 2, 10_000, 300
NODES, TASKS = 6, 6
# In the middle: so many of the clients have their outcome when the primary is killed.
ANSWERED_BEFORE = 3_000


@pytest.fixture
def database(tmp_path):
    """The pair, running. RINGFENCE__HA_PROGRAMS names the programs of another PostgreSQL."""
    programs = os.environ.get("RINGFENCE__HA_PROGRAMS")
    folder = tmp_path / "pair"
    folder.mkdir()
    one = Database(folder, Path(programs) if programs else None)
    try:
        one.start()
        yield one
    except BaseException:
        print(*(f"== {name}\n{one.log(name)[-6000:]}" for name in NAMES if one.has_log(name)), sep="\n")
        raise
    finally:
        one.stop()


@pytest.fixture
def told(tmp_path):
    """Where the jobs write what they do, outside every table of the product."""
    file = tmp_path / "witness.jsonl"
    file.touch()
    return file


@pytest.fixture
def service(tmp_path, database, told):
    """Six nodes on the pair, with a long task for each, running."""
    settings = service_settings(instances=NODES)
    settings["database"] = {"url": database.application_url, "owner_url": database.owner_url}
    settings["tasks"] = {
        f"task-{number}": {
            "function": "witness:work",
            "every": "5s",
            "params": {"path": str(told), "seconds": 25},
        }
        for number in range(TASKS)
    }
    environment = product_environment(PROJECT)
    environment["PYTHONPATH"] += f":{PROJECT / 'tests' / 'cluster'}"
    folder = tmp_path / "service"
    folder.mkdir()
    one = Service(folder, [sys.executable, "-m", "server"], settings, environment)
    try:
        one.start()
        yield one
    finally:
        one.clean_up()


@dataclass
class Story:
    """What happened around the kill; seconds on the monotonic clock, from the kill."""

    seen: Witness
    killed: str
    promoted_after: float
    silent_seconds: float


async def burst_with_kill(service: Service, database: Database, kill, user_id: int) -> Story:
    clients = Clients(service.port, user_id, AMOUNT)
    keys = [str(uuid4()) for _ in range(REQUESTS)]
    sending = asyncio.create_task(clients.send(keys, CONNECTIONS, ANSWERED_BEFORE))
    silence = asyncio.create_task(longest_silence(clients.witness, sending))
    await clients.answered.wait()
    killed = await asyncio.to_thread(database.leader)
    assert killed is not None
    await asyncio.to_thread(kill, killed)
    killed_at = time.monotonic()
    assert len(clients.witness.outcomes) < REQUESTS, "the burst was still under way"
    await asyncio.to_thread(
        wait_until, lambda: database.leader() not in {None, killed}, 60.0, "the promotion of the standby"
    )
    promoted_after = time.monotonic() - killed_at
    return Story(await sending, killed, promoted_after, await silence)


async def longest_silence(witness: Witness, sending: "asyncio.Task[Witness]") -> float:
    """The longest time without a new outcome, seconds."""
    longest, count, since = 0.0, 0, time.monotonic()
    while not sending.done():
        await asyncio.sleep(0.02)
        now = time.monotonic()
        if len(witness.outcomes) > count:
            count, since = len(witness.outcomes), now
        longest = max(longest, now - since)
    return longest


def lines_of(told):
    return [json.loads(line) for line in told.read_text().splitlines()]


def tasks_told_of(lines):
    return {line["task"] for line in lines}


@pytest.mark.parametrize("what", ["postgresql", "server"])
def test_a_burst_ends_exactly_and_no_run_overlaps_when_the_primary_is_killed(service, database, told, what):
    wait_until(lambda: len(tasks_told_of(lines_of(told))) == TASKS, 60, "all tasks run")
    user_id = service.post("/users", json.dumps({"balance": BALANCE}))[1]["id"]
    kill = database.kill_postgresql if what == "postgresql" else database.kill_server

    story = asyncio.run(burst_with_kill(service, database, kill, user_id))

    # Every client has its answer, and the arithmetic is exact.
    assert len(story.seen.outcomes) == REQUESTS
    assert story.seen.statuses == {200: REQUESTS // 2, 409: REQUESTS // 2}, story.seen.repeats
    until(service.is_ready, "all nodes are ready again")
    assert service.get(f"/users/{user_id}")[1]["balance"] == 0
    status, report = service.get("/ledger/check")
    assert (status, report["isSound"], report["entries"]) == (200, True, 2 + REQUESTS // 2)
    entries = {json.loads(body)["entryId"] for code, body in story.seen.outcomes.values() if code == 200}
    assert len(entries) == REQUESTS // 2, "each success has an entry of its own"

    # The tasks go on, or were taken over; nobody saw two executions of one at once.
    heard = len(lines_of(told))
    wait_until(lambda: len(tasks_told_of(lines_of(told)[heard:])) == TASKS, 90, "work of every task")
    assert overlaps(lines_of(told)) == []
    runs = service.get("/runs?limit=1000")[1]["runs"]
    assert {run["id"] for run in runs} >= {line["run"] for line in lines_of(told)}, "no run was forgotten"
    assert [run["error"] for run in runs if run["status"] == "failed"] == []
    running = Counter(run["task"] for run in runs if run["status"] == "running")
    assert set(running.values()) <= {1}

    # The old primary follows the new one, and has the same ledger.
    if what == "server":
        database.start_server(story.killed)
    wait_until(lambda: follows(database, story.killed), 90, "the return of the old primary")
    database.wait_until_synchronous()
    with database.connect(story.killed) as connection:
        assert connection.execute("select pg_is_in_recovery()").fetchone() == (True,)
        ledger = "select balance, (select count(*) from entries) from users where id = %s"
        assert connection.execute(ledger, [user_id]).fetchone() == (0, 2 + REQUESTS // 2)

    print(
        f"{what} of {story.killed} killed; promoted after {story.promoted_after:.1f} s; longest time "
        f"without an outcome {story.silent_seconds:.1f} s; repeats {dict(story.seen.repeats)}; "
        f"runs {dict(Counter(run['status'] for run in runs))}"
    )


def test_the_primary_stays_and_takes_writes_while_etcd_is_away(database):
    leader = database.leader()
    database.kill_etcd()
    # Each look that ends so is one after which it would have given up its place without the failsafe.
    stays = "continue to run as a leader because failsafe mode is enabled"
    wait_until(lambda: database.log(leader).count(stays) >= 3, 90, "the primary's decision to stay")
    with psycopg.connect(database.owner_url, autocommit=True) as connection:
        connection.execute("create table written as select 42 as answer")
    database.start_etcd()
    wait_until(lambda: database.leader() == leader, 60, "the same leader in etcd")
    database.wait_until_synchronous()


def follows(database: Database, name: str) -> bool:
    member = database.members().get(name, {})
    return member.get("state") == "streaming" and member.get("role") in {"replica", "sync_standby"}
