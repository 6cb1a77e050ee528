"""Which live node should run which task.

Promises
    The same answer everywhere: it depends on the names alone, not on their
    order, the process or the release (a test pins it, since nodes of two
    releases must agree during a rolling deploy).
    Fair: nodes that know the same tasks never differ by more than one task.
    Calm: a member that comes or goes moves little beyond what must move: 1.3
    times the least possible with 100 tasks on 6 nodes, 2.4 times with 1,000 on
    50 (see benchmarks/ring.py). A task that is added moves about one other.

Not promised
    That the owner is alive, or alone. Two nodes may see different members for
    a heartbeat. Who may run a task is decided by the lease (see runs.sql).
    The least movement. An answer that remembers nothing can't reach it; nearly
    all of the surplus are the last tenth of the tasks, those that meet full
    nodes. Full rendezvous weights, assignments of least cost and other orders
    (by task, by rank, by regret) were measured, and were no calmer.

How
    Every node has POINTS points on a ring of 2**64 places, every task one
    place. Of all pairs (task, next point) the nearest is settled first, over
    the whole ring, so no change is felt further than it must be. A task whose
    point belongs to a full node goes on to the next point of a node that isn't.

Pure: no clock, no I/O, no randomness. Cost: O((m + n*POINTS) log(m + n*POINTS)).
"""

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import lru_cache
from hashlib import blake2b
from heapq import heappop, heappush
from struct import unpack
from typing import NamedTuple

POINTS = 256
"""Points of one node. With fewer the raw shares are less even, so that more tasks meet a full node and
large rings are less calm; with more a membership that is seen for the first time costs more."""

_PLACES = 2**64
_POINTS_IN_A_DIGEST = 8


def assign(tasks: Iterable[str], nodes: Mapping[str, Collection[str] | None]) -> dict[str, str]:
    """Give each task to one of the nodes that know it; the answer is {task: node}.

    `nodes` maps each node's name to the names of the tasks that it knows, None
    meaning all. A task that no node knows is absent from the answer.

    Tasks that the same nodes know are shared out together, those that the
    fewest nodes know first, since the others can still make up for them.
    """
    owners: dict[str, str] = {}
    loads = dict.fromkeys(nodes, 0)
    for eligible, group in sorted(_by_eligible_nodes(tasks, nodes), key=lambda pair: (len(pair[0]), pair[0])):
        for task, node in _share_out(sorted(group), eligible, [loads[node] for node in eligible]):
            owners[task] = node
            loads[node] += 1
    return owners


def preference(task: str, nodes: Iterable[str]) -> list[str]:
    """All nodes in the task's own order: who may start it when its owner doesn't.

    Rendezvous weights, independent for each task, so that overdue tasks spread
    over the nodes, and one node more or less leaves the order of the others.
    """
    weight = {node: blake2b(f"{task}\0{node}".encode(), digest_size=8).digest() for node in nodes}
    return sorted(weight, key=lambda node: (weight[node], node))


def _by_eligible_nodes(
    tasks: Iterable[str], nodes: Mapping[str, Collection[str] | None]
) -> list[tuple[tuple[str, ...], set[str]]]:
    """The tasks in groups, each with the sorted names of the nodes that know exactly these."""
    members: dict[frozenset[str] | None, list[str]] = {}
    for node, known in nodes.items():
        members.setdefault(None if known is None else frozenset(known), []).append(node)
    # Nodes of one release know the same, so there are few kinds, and whole sets are split at a time.
    groups: list[tuple[tuple[str, ...], set[str]]] = [((), set(tasks))]
    for known, names in members.items():
        split = []
        for eligible, group in groups:
            inside = group if known is None else group & known
            split += [(eligible + tuple(names), inside), (eligible, group - inside)]
        groups = [(eligible, group) for eligible, group in split if group]
    return [(tuple(sorted(eligible)), group) for eligible, group in groups if eligible]


def _water_level(loads: Collection[int], count: int) -> tuple[int, int]:
    """To which load all nodes below it can be filled with `count` tasks, and how many tasks remain."""

    def poured(level: int) -> int:
        return sum(level - load for load in loads if load < level)

    level = bisect_right(range(min(loads) + count + 1), count, key=poured) - 1
    return level, count - poured(level)


class _Ring(NamedTuple):
    positions: list[int]
    owners: list[int]


@lru_cache(maxsize=4096)
def _points(node: str) -> tuple[int, ...]:
    name = node.encode()
    blocks = range(POINTS // _POINTS_IN_A_DIGEST)
    digests = b"".join(blake2b(name, salt=block.to_bytes(8, "little")).digest() for block in blocks)
    return unpack(f"<{POINTS}Q", digests)


@lru_cache(maxsize=4)
def _ring(nodes: tuple[str, ...]) -> _Ring:
    """The points of all nodes, in order. Kept, since members are asked for more often than they change."""
    owner_at = {position: index for index, node in enumerate(nodes) for position in _points(node)}
    positions = sorted(owner_at)
    return _Ring(positions, [owner_at[position] for position in positions])


def _share_out(tasks: list[str], nodes: tuple[str, ...], loads: list[int]) -> Iterator[tuple[str, str]]:
    """Pairs of task and node that bring the nodes' loads as near to each other as they can come.

    `tasks` come sorted: at equal distances, which 64 bits make rare, the name decides.
    """
    level, spare = _water_level(loads, len(tasks))
    room = [level - load for load in loads]
    # While tasks are to spare, a node may stand one above the level; then only those below it are open.
    full = -1 if spare else 0
    positions, owners = _ring(nodes)
    places = unpack(f"<{len(tasks)}Q", b"".join([blake2b(t.encode(), digest_size=8).digest() for t in tasks]))
    points = [bisect_left(positions, place) % len(positions) for place in places]
    distances = [(positions[point] - place) % _PLACES for place, point in zip(places, points, strict=True)]
    nearest_last = sorted(range(len(tasks)), key=distances.__getitem__)[::-1]
    following = [*range(1, len(positions)), 0]
    refused: list[tuple[int, int, int]] = []  # a heap of (distance, task, point)
    while nearest_last or refused:
        if refused and (not nearest_last or refused[0] < (distances[nearest_last[-1]], nearest_last[-1])):
            _, task, point = heappop(refused)
        else:
            task = nearest_last.pop()
            point = points[task]
        node = owners[point]
        if room[node] > full:
            yield tasks[task], nodes[node]
            room[node] -= 1
            if room[node] < 0:
                spare -= 1
                full = -1 if spare else 0
            continue
        # Full nodes stay full, so the way past their points is shortened for whoever comes next.
        passed = []
        while room[owners[point]] <= full:
            passed.append(point)
            point = following[point]
        for skipped in passed:
            following[skipped] = point
        heappush(refused, ((positions[point] - places[task]) % _PLACES, task, point))
