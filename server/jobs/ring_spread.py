"""Checks the cluster's hash over many generated memberships.

For each one: every task has an owner that knows it, nobody has more than one task
above another, the order of the names changes nothing, and a node that leaves or joins
moves little beyond what must move. The promises stand in server/cluster/ring.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

from server.cluster import ring
from server.jobs.pace import MINIMUM_SECONDS, Pace

if TYPE_CHECKING:
    from server.cron.context import Context

TASKS_MAX = 200
NODES_MAX = 30
# Memberships are drawn from so many names: the ring keeps the points of names it has seen.
NAMES = 200

Owners = dict[str, str]


@dataclass(frozen=True)
class Finding:
    """One membership: its spread, and the tasks that moved against the fewest that had to."""

    spread: int
    left_moved: int
    left_least: int
    joined_moved: int
    joined_least: int


def hash_ring_spread(
    context: Context,
    minimum_seconds: float = MINIMUM_SECONDS,
    memberships: int = 240,
    seed: int | None = None,
) -> dict[str, Any]:
    """`memberships` random clusters of up to 30 nodes and 200 tasks.

    seed: of the memberships; the run's id when none is given, so that every run
        checks others. Raises RuntimeError at the first broken promise.
    """
    if memberships < 1:
        raise ValueError(f"memberships must be 1 or more, got {memberships}")
    seed = context.run_id if seed is None else seed
    generator = Random(seed)  # noqa: S311 test data, no secret
    pace = Pace(context, minimum_seconds)
    findings: list[Finding] = []
    for number in range(memberships):
        try:
            findings.append(examine(generator))
        except RuntimeError as error:
            raise RuntimeError(f"membership {number} of seed {seed}: {error}") from None
        pace.reached(number + 1, memberships, f"spread {max(found.spread for found in findings)} at most")
    return {
        "memberships": memberships,
        "seed": seed,
        "spreadMost": max(found.spread for found in findings),
        "leave": _movement((found.left_moved, found.left_least) for found in findings),
        "join": _movement((found.joined_moved, found.joined_least) for found in findings),
    }


def examine(generator: Random) -> Finding:
    """Makes one membership, lets a node leave and another join, and checks all three."""
    mark = generator.randrange(10**6)
    tasks = [f"task-{mark}-{number}" for number in range(generator.randint(1, TASKS_MAX))]
    nodes = [f"node-{name}" for name in generator.sample(range(NAMES), generator.randint(3, NODES_MAX + 1))]
    newcomer = nodes.pop()
    before = assign_to_all(tasks, nodes)
    if assign_to_all(generator.sample(tasks, len(tasks)), generator.sample(nodes, len(nodes))) != before:
        raise RuntimeError("the order of the names changes the owners")
    check_partial_knowledge(tasks, nodes, generator)

    leaver = generator.choice(nodes)
    left = assign_to_all(tasks, [node for node in nodes if node != leaver])
    joined = assign_to_all(tasks, [*nodes, newcomer])
    return Finding(
        spread=max(spread(before, nodes), spread(joined, [*nodes, newcomer])),
        left_moved=moved(before, left),
        left_least=sum(owner == leaver for owner in before.values()),
        joined_moved=moved(before, joined),
        joined_least=len(tasks) // (len(nodes) + 1),
    )


def assign_to_all(tasks: list[str], nodes: list[str]) -> Owners:
    """The owners where every node knows every task; checked for their quotas."""
    owners = ring.assign(tasks, dict.fromkeys(nodes))
    if owners.keys() != set(tasks):
        raise RuntimeError(f"{len(tasks) - len(owners)} of {len(tasks)} tasks have no owner")
    if spread(owners, nodes) > 1:
        raise RuntimeError(f"{len(tasks)} tasks on {len(nodes)} nodes differ by {spread(owners, nodes)}")
    return owners


def check_partial_knowledge(tasks: list[str], nodes: list[str], generator: Random) -> None:
    """In a rolling deploy some nodes don't know the newest tasks and must not get them."""
    old = set(tasks[: generator.randint(0, len(tasks))])
    knows: Mapping[str, set[str] | None] = {node: generator.choice((None, old)) for node in nodes}
    everybody_is_old = all(known is not None for known in knows.values())
    owners = ring.assign(tasks, knows)
    if owners.keys() != (old if everybody_is_old else set(tasks)):
        raise RuntimeError("a task that some node knows has no owner")
    for task, node in owners.items():
        known = knows[node]
        if known is not None and task not in known:
            raise RuntimeError(f"{task} was given to {node}, which does not know it")


def spread(owners: Owners, nodes: Iterable[str]) -> int:
    """By how many tasks the busiest node is above the idlest."""
    loads = Counter(owners.values())
    counts = [loads[node] for node in nodes]
    return max(counts) - min(counts)


def moved(before: Owners, after: Owners) -> int:
    """How many tasks have another owner."""
    return sum(after[task] != node for task, node in before.items())


def _movement(pairs: Iterable[tuple[int, int]]) -> dict[str, Any]:
    """Totals of all memberships; the ratio is null when nothing had to move."""
    movements = list(pairs)
    total, least = (sum(column) for column in zip(*movements, strict=True))
    return {
        "moved": total,
        "least": least,
        "ratio": round(total / least, 3) if least else None,
        "surplusMost": max(moved - least for moved, least in movements),
    }
