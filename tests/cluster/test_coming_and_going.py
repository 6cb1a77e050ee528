"""Nodes that stop, gently and fast, and join, while tasks run."""

import signal
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fleet import Fleet, overlaps, wait_until

TTL_SECONDS = 4


@pytest.fixture
def working(fleet: Callable[..., Fleet], tmp_path: Path) -> Callable[..., Fleet]:
    """Starts nodes whose tasks run once, for some seconds; returns when all tasks run."""

    def make(nodes: int, tasks: int, seconds: float, function: str = "witness:work", **cluster: Any) -> Fleet:
        witness = tmp_path / "witness.jsonl"
        witness.touch()
        params = {"path": str(witness), "seconds": seconds}
        made = fleet(
            {f"task-{n}": {"function": function, "every": "1h", "params": params} for n in range(tasks)},
            **cluster,
        )
        made.witness = witness
        made.start(*range(1, nodes + 1))
        made.wait_ready()
        wait_until(lambda: len(made.running()) == tasks, 30, f"{tasks} runs")
        return made

    return make


def held_by(fleet: Fleet, node: str) -> dict[str, int]:
    """task -> run, of what a node runs now."""
    return {name: run["runId"] for name, run in fleet.running().items() if run["node"] == node}


def moments(database: Any, node: str) -> dict[str, datetime]:
    """When each event of a node itself was told, the last of its kind."""
    with database.connect() as connection:
        return dict(
            connection.execute(
                "select event, at from events where node = %s and channel = 'node_events' order by id", [node]
            )
        )


def test_a_drain_longer_than_the_lease_keeps_it_until_the_last_run_has_ended(working, database):
    fleet = working(2, 2, 3 * TTL_SECONDS, ttl=TTL_SECONDS, margin=1, drain_seconds=60)
    held = held_by(fleet, "node-2")
    assert len(held) == 1
    fleet.signal(2, signal.SIGTERM)
    wait_until(lambda: "draining" in moments(database, "node-2"), 10, "it drains")
    leases: list[float] = []

    def ended() -> bool:
        nodes = fleet.get("/nodes")["nodes"]
        leases.extend(node["leaseSeconds"] for node in nodes if node["name"] == "node-2")
        return fleet.processes[2].poll() is not None

    wait_until(ended, 60, "the end of its drain")
    assert fleet.wait_for_end(2) == 0
    assert min(leases) > 0, "its heart beat to the end"
    told = moments(database, "node-2")
    assert "dead" not in told
    assert told["left"] - told["draining"] > timedelta(seconds=TTL_SECONDS)
    assert [fleet.get(f"/runs/{run}")["status"] for run in held.values()] == ["succeeded"]
    assert Counter(line["event"] for line in fleet.testimony())["start"] == 2, "nothing began elsewhere"
    assert overlaps(fleet.testimony()) == []


@pytest.mark.parametrize(
    "signals", [[signal.SIGINT], [signal.SIGTERM, signal.SIGTERM]], ids=["sigint", "sigterm twice"]
)
def test_a_fast_stop_interrupts_the_runs_which_begin_elsewhere(working, database, signals):
    # The drain would be a minute, and the job hears no request to stop.
    fleet = working(2, 4, 90, function="witness:deaf", drain_seconds=60)
    held = held_by(fleet, "node-2")
    for number, one in enumerate(signals):
        if number:
            wait_until(lambda: "draining" in moments(database, "node-2"), 10, "it drains")
        fleet.signal(2, one)
    assert fleet.wait_for_end(2, 20) == 0
    assert set(moments(database, "node-2")) == {"joined", "draining", "left"}
    wait_until(lambda: fleet.spread() == {"node-1": 4}, 20, "the runs elsewhere")
    for task, run in held.items():
        ended = fleet.get(f"/runs/{run}")
        assert (ended["status"], ended["successor"]) == ("interrupted", fleet.running()[task]["runId"])
    assert overlaps(fleet.testimony()) == []


def test_a_newcomer_moves_no_run_and_the_next_starts_are_spread_evenly(working, database):
    fleet = working(2, 6, 12)
    before = {name: (run["node"], run["runId"]) for name, run in fleet.running().items()}
    assert sorted(fleet.spread().values()) == [3, 3]
    fleet.start(3)
    wait_until(lambda: "joined" in moments(database, "node-3"), 30, "node-3 joined")
    owners = wait_until(
        lambda: (
            (found := Counter(task["owner"] for task in fleet.get("/tasks")["tasks"])).total() == 6
            and len(found) == 3
            and found
        ),
        10,
        "each owns some",
    )
    assert sorted(owners.values()) == [2, 2, 2]
    assert {name: (run["node"], run["runId"]) for name, run in fleet.running().items()} == before
    wait_until(lambda: len(fleet.runs(status="succeeded")) == 6, 30, "all have ended where they began")
    with database.connect() as connection:
        for name in before:
            connection.execute("select run_task(%s)", [name])
    wait_until(lambda: len(fleet.running()) == 6, 30, "the next runs")
    assert sorted(fleet.spread().values()) == [2, 2, 2]
