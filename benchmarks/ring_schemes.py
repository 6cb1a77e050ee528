"""Schemes that the ring was measured against, each in its plainest form, over all pairs of a task and a node.

    python benchmarks/ring.py --schemes

Every one is memoryless and keeps exact quotas. None is meant for use: they are slow, and the text behind
each says why it is no calmer.
"""

from collections.abc import Callable
from functools import partial
from hashlib import blake2b

Scheme = Callable[[list[str], dict[str, None]], dict[str, str]]
Pair = tuple[float, str, str]


def weight(*names: str) -> int:
    return int.from_bytes(blake2b("\0".join(names).encode(), digest_size=8).digest(), "little")


class Quotas:
    """Room for floor(m/n) tasks on each node, and for one more on as many as needed, whoever asks first."""

    def __init__(self, tasks: list[str], nodes: dict[str, None], spare: int | None = None) -> None:
        floor, remainder = divmod(len(tasks), len(nodes))
        self.room = dict.fromkeys(nodes, floor)
        self.spare = remainder if spare is None else spare
        self.owners: dict[str, str] = {}

    def open(self, node: str) -> bool:
        return self.room[node] > 0 or (self.room[node] == 0 and self.spare > 0)

    def settle(self, pairs: list[Pair]) -> None:
        for _, task, node in pairs:
            if task not in self.owners and self.open(node):
                self.owners[task] = node
                self.room[node] -= 1
                self.spare -= self.room[node] < 0


def weighed(tasks: list[str], nodes: dict[str, None]) -> list[Pair]:
    return sorted((weight(task, node), task, node) for task in tasks for node in nodes)


def ranked(tasks: list[str], nodes: dict[str, None]) -> list[Pair]:
    pairs = []
    for node in nodes:
        order = sorted((weight(task, node), task) for task in tasks)
        pairs += [(rank, task, node) for rank, (_, task) in enumerate(order)]
    return sorted(pairs, key=lambda pair: (pair[0], weight(pair[2])))


def by_weight(tasks: list[str], nodes: dict[str, None]) -> dict[str, str]:
    quotas = Quotas(tasks, nodes)
    quotas.settle(weighed(tasks, nodes))
    return quotas.owners


def by_rank(tasks: list[str], nodes: dict[str, None]) -> dict[str, str]:
    quotas = Quotas(tasks, nodes)
    quotas.settle(ranked(tasks, nodes))
    return quotas.owners


def first_choices_by_rank(tasks: list[str], nodes: dict[str, None]) -> dict[str, str]:
    quotas = Quotas(tasks, nodes)
    pairs = ranked(tasks, nodes)
    first: dict[str, Pair] = {}
    for pair in pairs:
        first.setdefault(pair[1], pair)
    quotas.settle(list(first.values()))
    quotas.settle(pairs)
    return quotas.owners


def floors_first(tasks: list[str], nodes: dict[str, None]) -> dict[str, str]:
    quotas = Quotas(tasks, nodes, spare=0)
    pairs = ranked(tasks, nodes)
    quotas.settle(pairs)
    quotas.spare = len(tasks) % len(nodes)
    quotas.settle(pairs)
    return quotas.owners


def task_by_task(tasks: list[str], nodes: dict[str, None]) -> dict[str, str]:
    quotas = Quotas(tasks, nodes)
    for task in sorted(tasks, key=weight):
        quotas.settle(sorted((weight(task, node), task, node) for node in nodes))
    return quotas.owners


def deferred_acceptance(tasks: list[str], nodes: dict[str, None], own_taste: bool) -> dict[str, str]:
    """Stable marriage: tasks ask, nodes keep whom they like best. A hash names who may have one more."""
    floor, remainder = divmod(len(tasks), len(nodes))
    capacity = dict.fromkeys(nodes, floor)
    for node in sorted(nodes, key=weight)[:remainder]:
        capacity[node] += 1
    held: dict[str, list[tuple[int, str]]] = {node: [] for node in nodes}
    asks = {task: iter(sorted(nodes, key=partial(weight, task))) for task in tasks}
    free = list(tasks)
    while free:
        task = free.pop()
        node = next(asks[task])
        liking = weight(node, task) if own_taste else weight(task, node)
        held[node] = sorted([*held[node], (liking, task)])
        if len(held[node]) > capacity[node]:
            free.append(held[node].pop()[1])
    return {task: node for node, keeps in held.items() for _, task in keeps}


def one_join_after_another(tasks: list[str], nodes: dict[str, None]) -> dict[str, str]:
    """Nodes join in an order of their own, and each takes the least that it must."""
    first, *others = sorted(nodes, key=weight)
    owners, loads = dict.fromkeys(tasks, first), {first: len(tasks)}
    for joined, node in enumerate(others, start=2):
        floor = len(tasks) // joined
        choice = floor - sum(max(0, load - floor - 1) for load in loads.values())
        taken = 0
        for task in sorted(tasks, key=partial(weight, node)):
            excess = loads[owners[task]] - floor
            if taken < floor and (excess > 1 or (excess == 1 and choice > 0)):
                choice -= excess == 1
                loads[owners[task]] -= 1
                owners[task] = node
                taken += 1
        loads[node] = taken
    return owners


SCHEMES: list[tuple[str, Scheme, str]] = [
    ("nearest pair first, by weight", by_weight, "one task in eleven meets a full node"),
    ("by rank in the node's list", by_rank, "one in sixteen: nodes choose at one pace"),
    ("the same, first choices before all", first_choices_by_rank, "what ring.py does, on fewer pairs"),
    ("the same, all floors first", floors_first, "the last quotas go to the least wanted, by chance"),
    ("task by task", task_by_task, "the last tasks find few nodes open"),
    (
        "stable marriage, one taste",
        partial(deferred_acceptance, own_taste=False),
        "one more by hash, not demand",
    ),
    ("stable marriage, two tastes", partial(deferred_acceptance, own_taste=True), "long chains of refusals"),
    ("one join after another", one_join_after_another, "an early difference grows with every join"),
]
