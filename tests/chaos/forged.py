"""Evidence as it would be, made by hand: the checker must find what is wrong with it."""

from typing import Any

from storm.evidence import Census, Evidence, Harm, Line, Run, Task

PID = 100
NODES = ("node-1", "node-2", "node-3")


def lines(run: int, *moments: float, node: str = "node-1", end: bool = True, **more: Any) -> list[Line]:
    """An execution of `task`: its start, its ticks, and its end unless it was killed."""
    events = ["start", *["tick"] * (len(moments) - 1)]
    if end and len(moments) > 1:
        events[-1] = "end"
    return [
        Line("task", run, node, PID + run, event, at, **(more if event == "start" else {}))
        for event, at in zip(events, moments, strict=True)
    ]


def row(run: int, began: float, ended: float | None, **changes: Any) -> Run:
    """The history's row for such an execution; on the witness's clock, for simplicity."""
    members: dict[str, Any] = {
        "id": run,
        "task": "task",
        "node": "node-1",
        "incarnation": 1,
        "status": "succeeded",
        "trigger": "schedule",
        "scheduled_for": began,
        "started_at": began,
        "finished_at": ended,
        "result": {"run": run, "pid": PID + run, "node": changes.get("node", "node-1")},
    }
    return Run(**members | changes)


def freeze(*runs: int, frozen_at: float, thawed_at: float) -> Harm:
    """What everything_frozen leaves."""
    facts = {"frozen_runs": list(runs), "frozen_at": frozen_at, "thawed_at": thawed_at, "incarnation": 1}
    return Harm("everything_frozen", "node-1", "all wake at once", frozen_at, thawed_at + 1, facts)


def evidence(**members: Any) -> Evidence:
    """Two runs of one task, 10 s apart, with nothing wrong; and what is given instead."""
    made: dict[str, Any] = {
        "act": "forged",
        "seed": 0,
        "nodes": 3,
        "ttl_seconds": 5.0,
        "margin_seconds": 1.0,
        "proof_of_death": True,
        "partitions": "cut",
        "opened_at": 0.0,
        "closed_at": 100.0,
        "now": 21.0,
        "lines": [*lines(1, 0, 1, 2), *lines(2, 10, 11, 12)],
        "runs": [row(1, 0, 2), row(2, 10, 12)],
        "tasks": [Task("task", every_seconds=10, next_run_at=20)],
        "census": census(),
    }
    return Evidence(**made | members)


def census(**changes: Any) -> Census:
    """Three nodes, a task each, agreed on by all."""
    owners = {f"task-{number}": node for number, node in enumerate(NODES)}
    made: dict[str, Any] = {"at": 20.0, "owners": {node: dict(owners) for node in NODES}, "starts": owners}
    return Census(**made | changes)
