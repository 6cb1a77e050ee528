"""Nodes with different configurations in one cluster, and configurations that change."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fleet import Fleet, overlaps, wait_until

LEAVE_ALONE = 3  # further runs of one task that show that another stands still


@pytest.fixture
def witness(tmp_path: Path) -> Path:
    """The file to which all jobs of a test write."""
    path = tmp_path / "witness.jsonl"
    path.touch()
    return path


@pytest.fixture
def nodes(fleet: Callable[..., Fleet], witness: Path) -> Callable[..., Fleet]:
    """Makes fleets whose jobs write to the test's witness."""

    def make(tasks: dict[str, Any], revision: int = 1, **cluster: Any) -> Fleet:
        made = fleet(tasks, **cluster)
        made.configure(tasks, revision)
        made.witness = witness
        return made

    return make


def job(witness: Path, seconds: float = 0.1, every: str = "1s") -> dict[str, Any]:
    return {"function": "witness:work", "every": every, "params": {"path": str(witness), "seconds": seconds}}


def runs_of(fleet: Fleet, task: str) -> set[int]:
    """Those that began, by the witness."""
    return {line["run"] for line in fleet.testimony() if line["task"] == task}


def nodes_of(fleet: Fleet, task: str) -> set[str]:
    return {line["node"] for line in fleet.testimony() if line["task"] == task}


def wait_for_runs(fleet: Fleet, task: str, more: int = LEAVE_ALONE) -> None:
    before = len(runs_of(fleet, task))
    wait_until(lambda: len(runs_of(fleet, task)) >= before + more, 60, f"{more} runs of {task}")


def events(database: Any, event: str) -> list[tuple[Any, ...]]:
    with database.connect() as connection:
        return connection.execute(
            "select task, detail from events where event = %s order by id", [event]
        ).fetchall()


def test_a_task_that_a_node_does_not_know_is_neither_claimed_nor_dropped_nor_fought_over(nodes, witness):
    old = nodes({"shared": job(witness), "only-old": job(witness)})
    new = nodes({"shared": job(witness), "only-new": job(witness)})
    old.start(1)
    new.start(2)
    for made in (old, new):
        made.wait_ready()
    for task in ("shared", "only-old", "only-new"):
        wait_for_runs(old, task)
    assert (nodes_of(old, "only-old"), nodes_of(old, "only-new")) == ({"node-1"}, {"node-2"})
    assert "unknown_task" not in old.log(1) + new.log(2), "nobody even tried"
    owners = {task["name"]: task["owner"] for task in old.get("/tasks", 1)["tasks"]}
    assert (owners["only-old"], owners["only-new"]) == ("node-1", "node-2")
    assert owners["shared"] in {"node-1", "node-2"}

    # The only node that knows it goes: the task stays as it is, and nobody's.
    new.signal(2, signal.SIGTERM)
    assert new.wait_for_end(2) == 0
    wait_until(lambda: old.get("/tasks/only-new")["owner"] is None, 30, "no owner")
    before, left = runs_of(old, "only-new"), old.get("/tasks/only-new")
    assert (left["retiredAt"], left["running"]) == (None, None)
    assert left["nextRunAt"] is not None
    wait_for_runs(old, "shared")
    assert runs_of(old, "only-new") == before
    assert old.get("/tasks/only-new") == left, "its ticks wait, and none is skipped"

    new.start(2)
    wait_for_runs(old, "only-new")
    assert nodes_of(old, "only-new") == {"node-2"}
    assert overlaps(old.testimony()) == []


def test_a_changed_setting_counts_for_all_nodes_once_any_of_them_has_started_with_it(nodes, witness):
    fleet = nodes({"job": job(witness, seconds=0.1)})
    fleet.start(1, 2)
    fleet.wait_ready()
    wait_for_runs(fleet, "job")
    fleet.configure({"job": job(witness, seconds=0.3, every="2s")}, revision=2)
    fleet.restart(2)
    wait_until(lambda: fleet.get("/tasks/job", 1)["schedule"] == "every 2 seconds", 30, "the new schedule")
    # node-1 has the former configuration in its memory, and runs the new one all the same.
    fleet.signal(2, signal.SIGTERM)
    assert fleet.wait_for_end(2) == 0
    changed = {"seconds": 0.3}
    wait_until(
        lambda: sum(run["result"] == changed for run in fleet.runs(node="node-1", status="succeeded")) >= 2,
        30,
        "runs of the new definition on the other node",
    )
    assert overlaps(fleet.testimony()) == []


def test_of_two_configurations_the_higher_revision_counts_and_at_the_same_one_the_later_start(
    nodes, witness, database
):
    first = nodes({"job": job(witness, every="1s")}, revision=2)
    first.start(1)
    first.wait_ready()
    wait_for_runs(first, "job", 1)

    late = nodes({"job": job(witness, every="7s")}, revision=1)
    late.start(2)
    late.wait_ready()
    assert first.get("/tasks/job")["schedule"] == late.get("/tasks/job")["schedule"] == "every second"
    assert "a higher revision defines the task" in late.log(2)
    assert events(database, "redefined") == []

    same = nodes({"job": job(witness, every="2s")}, revision=2)
    same.start(3)
    same.wait_ready()
    assert first.get("/tasks/job")["schedule"] == "every 2 seconds"
    [(task, warning)] = events(database, "redefined")
    assert task == "job"
    assert "another configuration of revision 2 defined it before" in warning
    assert "another configuration of this revision defined the task before" in same.log(3)
    wait_for_runs(first, "job")
    assert overlaps(first.testimony()) == []


def test_a_task_that_no_configuration_names_any_more_is_retired_and_returns_as_it_was(
    nodes, witness, database
):
    both = {"kept": job(witness), "gone": job(witness)}
    fleet = nodes(both, retire_after="1s")
    fleet.start(1, 2)
    fleet.wait_ready()
    for task in both:
        wait_for_runs(fleet, task, 1)
    with database.connect() as connection:
        connection.execute("select pause_task('gone')")

    fleet.configure({"kept": job(witness)}, revision=2)
    fleet.restart(1)
    fleet.wait_ready()
    # Far longer than node-1 would wait, if node-2 did not know the task as before.
    wait_for_runs(fleet, "kept", 9)
    assert fleet.get("/tasks/gone")["retiredAt"] is None

    fleet.restart(2)
    fleet.wait_ready()
    wait_until(lambda: fleet.get("/tasks/gone")["retiredAt"], 60, "it is retired")
    gone = fleet.get("/tasks/gone")
    assert (gone["owner"], gone["nextRunAt"], gone["running"], gone["paused"]) == (None, None, None, True)
    assert gone["lastRun"]["status"] == "succeeded"
    assert len(fleet.runs(task="gone")) == len(runs_of(fleet, "gone")) > 0
    assert events(database, "retired") == [("gone", None)]
    assert "task retired" in fleet.log(1) + fleet.log(2)

    fleet.configure(both, revision=3)
    fleet.restart(1)
    fleet.wait_ready()
    back = fleet.get("/tasks/gone")
    assert (back["retiredAt"], back["paused"]) == (None, True)
    assert events(database, "returned") == [("gone", None)]
    before = runs_of(fleet, "gone")
    with database.connect() as connection:
        connection.execute("select resume_task('gone', null)")
    wait_for_runs(fleet, "gone", 2)
    # One run for each tick since, and none for the ticks that it was away.
    back_again = sorted(runs_of(fleet, "gone") - before)
    first = fleet.get(f"/runs/{back_again[0]}")
    assert (first["trigger"], first["predecessor"]) == ("schedule", None)
    assert overlaps(fleet.testimony()) == []
