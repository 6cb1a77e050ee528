"""Nodes whose every connection goes through PgBouncer in transaction mode."""

import signal
import urllib.request

import pytest
import yaml
from fleet import Fleet, overlaps, wait_until
from pooler import remains, several_sessions

from server.postgres.listener import TRIAL_CHANNEL, Mode


def listening(fleet: Fleet, node: int) -> Mode:
    """The mode that a node tells by its metrics."""
    with urllib.request.urlopen(f"http://127.0.0.1:{fleet.port + node}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    found = [line for line in lines if line.startswith("ringfence_listening{") and line.endswith(" 1.0")]
    (line,) = found
    return Mode(line.partition('"')[2].partition('"')[0])


def withdraw(fleet: Fleet, node: int) -> None:
    request = urllib.request.Request(
        f"http://127.0.0.1:{fleet.port + node}/withdraw",
        data=b'{"userId": 1, "amount": 1}',
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=15) as answer:
        assert answer.status == 200


@pytest.fixture
def fleet(workers, database) -> Fleet:
    """Not started yet: four tasks that run all the time, and one that runs when it is asked for."""
    made = workers(4, seconds=0.3, every="2s", proof_of_death=False, settle=0.5)
    made.variables = {"RINGFENCE_DATABASE__OWNER_URL": database.owner_url}
    tasks = yaml.safe_load(made.config.read_text())["tasks"]
    made.configure(tasks | {"asked": tasks["task-00"] | {"every": "1h", "first": "scheduled"}})
    several_sessions(database)
    return made


def start(fleet: Fleet, mode: Mode) -> None:
    """Two nodes, which hear of each other in that way, and both move money."""
    fleet.start(1, 2)
    fleet.wait_ready()
    for node in (1, 2):
        wait_until(lambda node=node: listening(fleet, node) is mode, why=f"node-{node} is {mode}")
        for _ in range(20):
            withdraw(fleet, node)
    assert fleet.get("/users/1")["balance"] == 10_000 - 40


def run_as_asked(fleet: Fleet) -> None:
    """By whichever node owns it, whichever was asked."""
    for node in (1, 2):
        assert fleet.post("/tasks/asked/run", node) == 202
        wait_until(
            lambda node=node: len([run for run in fleet.runs(task="asked") if run["finishedAt"]]) == node,
            why="a run out of turn",
        )
    assert {run["trigger"] for run in fleet.runs(task="asked")} == {"manual"}


def test_a_cluster_without_notifications_polls_and_finds_a_lost_node_by_time(fleet, database):
    """By time, which takes a watch over the database's clock, though no session is held for it."""
    start(fleet, Mode.POLLING)
    for node in (1, 2):
        assert fleet.log(node).count("database.listen_url") == 1
    run_as_asked(fleet)

    victim = wait_until(lambda: next(iter(fleet.running().values()), None), why="a run")
    number = int(victim["node"].removeprefix("node-"))
    fleet.signal(number, signal.SIGKILL)
    fleet.processes.pop(number).wait()
    newest = max(run["id"] for run in fleet.runs())
    wait_until(
        lambda: (
            {run["task"] for run in fleet.runs() if run["id"] > newest} >= {f"task-{n:02}" for n in range(4)}
        ),
        60,
        why="all tasks run on the other one",
    )
    assert overlaps(fleet.testimony()) == []
    left = remains(database)
    assert len(left.sessions) > 1
    assert (left.settings, left.prepared, left.locks) == (set(), 0, 0)
    assert left.channels <= {TRIAL_CHANNEL}


def test_with_a_way_past_the_pooler_it_listens(fleet, database):
    fleet.variables["RINGFENCE_DATABASE__LISTEN_URL"] = database.direct_url
    start(fleet, Mode.LISTENING)
    run_as_asked(fleet)
    for node in (1, 2):
        assert "there is a pooler" not in fleet.log(node)
    assert remains(database).channels == set()
