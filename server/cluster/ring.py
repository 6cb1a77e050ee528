"""Which live node should run which task.

Promises
    The same answer everywhere: it depends on the names alone, not on their
    order, the process or the release (a test pins it, since nodes of two
    releases must agree during a rolling deploy).
    Fair: nodes that know the same tasks never differ by more than one task.
    Calm: a member that comes or goes moves little beyond what must move: 1.2
        times the least possible with 100 tasks on 6 nodes, 2.2 times with 1,000 on
        50 (see benchmarks/ring.py). A task that is added moves two others on 6
        nodes, six on 50.

Not promised
    That the owner is alive, or alone. Two nodes may see different members for
    a heartbeat. Who may run a task is decided by the lease (see runs.sql).
    The least movement. An answer that remembers nothing can't reach it; nearly
    all of the surplus are the tasks whose nearest node is full, one in sixteen of
    1,000 on 50 nodes. benchmarks/ring_schemes.py has others, none of them
    calmer by more than two in a hundred.

How
    Every node has POINTS points on a ring of 2**64 places, every task one place.
    Each node lists the tasks by their distance to its next point, and what counts
    is the rank in that list, not the distance: the nodes then choose at one pace,
    which halves the variance of how many first choices they get, so that fewer
    tasks meet full nodes. First every task goes to the node that ranks it highest,
    if that has room; then the others, again in the order of the ranks. Lists end
    after WISHES times the share; what they leave over goes around the ring.

Pure: no clock, no I/O, no randomness. Cost: O(m*WISHES*log(m/n) + n*POINTS*log(m)),
and m*n*log(m) up to POINTS tasks.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import lru_cache
from hashlib import blake2b
from heapq import heapify, heappop, heappush
from itertools import zip_longest
from struct import unpack

POINTS = 512
"""Points of one node. With fewer, neighbours on the ring have the same nearest nodes more often, and more
tasks meet a full node; with more a membership that is seen for the first time costs more."""

WISHES = 5
"""How many times its share a node lists. With 5 one task in 150 is on no list; it goes around the ring."""

_NOBODY = -1
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


def ranks(task: str, tasks: Iterable[str], nodes: Mapping[str, Collection[str] | None]) -> dict[str, int]:
    """How high each node that knows a task ranks it, 1 the highest: what assign() goes by.

    A node is absent whose list ends before the task. A node that ranks the task higher
    than its owner does was full when its turn came, with tasks that it ranks higher still.
    """
    for eligible, group in _by_eligible_nodes(tasks, nodes):
        if task in group:
            names = sorted(group)
            places = _places_of(names)
            number = sorted(range(len(names)), key=places.__getitem__).index(names.index(task))
            lists = _Sharing(sorted(places), [_points(node) for node in eligible], [], 0).wish_lists()
            found = zip(eligible, lists, strict=True)
            return {node: wishes.index(number) + 1 for node, wishes in found if number in wishes}
    return {}


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


@lru_cache(maxsize=4096)
def _points(node: str) -> tuple[int, ...]:
    """The node's places on the ring, in order. Kept: members are asked for more often than they change."""
    name = node.encode()
    blocks = range(POINTS // _POINTS_IN_A_DIGEST)
    digests = b"".join(blake2b(name, salt=block.to_bytes(8, "little")).digest() for block in blocks)
    return tuple(sorted(unpack(f"<{POINTS}Q", digests)))


def _places_of(tasks: list[str]) -> tuple[int, ...]:
    digests = b"".join([blake2b(task.encode(), digest_size=8).digest() for task in tasks])
    return unpack(f"<{len(tasks)}Q", digests)


def _share_out(tasks: list[str], nodes: tuple[str, ...], loads: list[int]) -> Iterator[tuple[str, str]]:
    """Pairs of task and node that bring the nodes' loads as near to each other as they can come.

    `tasks` come sorted: at equal places, which 64 bits make rare, the name decides.
    """
    places = _places_of(tasks)
    by_place = sorted(range(len(tasks)), key=places.__getitem__)
    # Who comes first among equal wishes must not follow from the name: a series of names would be favoured.
    by_points = sorted(range(len(nodes)), key=lambda node: _points(nodes[node]))
    room, spare = _rooms([loads[node] for node in by_points], len(tasks))
    sharing = _Sharing(sorted(places), [_points(nodes[node]) for node in by_points], room, spare)
    lists = sharing.wish_lists()
    sharing.grant_first_wishes(lists)
    sharing.grant_later_wishes(lists)
    sharing.fill_the_rest()
    for task, owner in zip(by_place, sharing.owners, strict=False):
        yield tasks[task], nodes[by_points[owner]]


def _rooms(loads: list[int], count: int) -> tuple[list[int], int]:
    level, spare = _water_level(loads, count)
    return [level - load for load in loads], spare


class _Sharing:
    """One sharing out. Tasks and nodes are numbers here; tasks are numbered by their places on the ring."""

    def __init__(self, places: list[int], points: list[tuple[int, ...]], room: list[int], spare: int) -> None:
        self.places = places
        self.points = points
        self.room = room
        self.spare = spare
        self.numbers = list(range(len(places)))
        # One more than there are tasks: lists that end early are filled up with a task that is settled.
        self.owners = [_NOBODY] * len(places) + [0]

    def wish_lists(self) -> list[list[int]]:
        """For each node the tasks that it is nearest to, the nearest first."""
        if len(self.places) <= POINTS:  # then a look at each task is cheaper than one at each point
            return [self._all_by_distance(points) for points in self.points]
        reach = _PLACES * WISHES // (len(self.points) * POINTS)
        return [self._near(points, reach) for points in self.points]

    def _all_by_distance(self, points: tuple[int, ...]) -> list[int]:
        distances = [self._distance(place, points) for place in self.places]
        return sorted(self.numbers, key=distances.__getitem__)

    def _near(self, points: tuple[int, ...], reach: int) -> list[int]:
        """The tasks within reach of a point, without a look at the others."""
        places, numbers = self.places, self.numbers
        found: list[int] = []
        distances: list[int] = []
        previous = 0
        for point in (*points, points[0] + _PLACES):
            low = bisect_left(places, max(previous, point - reach))
            high = bisect_left(places, point)
            found += numbers[low:high]
            distances += [point - place for place in places[low:high]]
            previous = point
        # Of two at one distance only the last is kept; the other is among the rest.
        number_at = dict(zip(distances, found, strict=True))
        return [number_at[distance] for distance in sorted(number_at)]

    @staticmethod
    def _distance(place: int, points: tuple[int, ...]) -> int:
        following = bisect_left(points, place)
        return points[following] - place if following < len(points) else points[0] + _PLACES - place

    def grant_first_wishes(self, lists: list[list[int]]) -> None:
        """Each task to the node whose list has it earliest, if that node has room."""
        seen = bytearray(len(self.owners))
        seen[-1] = 1
        for wishes in zip_longest(*lists, fillvalue=len(seen) - 1):
            for node, task in enumerate(wishes):
                if not seen[task]:
                    seen[task] = 1
                    self._give(task, node)

    def grant_later_wishes(self, lists: list[list[int]]) -> None:
        owners = self.owners
        for wishes in zip_longest(*lists, fillvalue=len(owners) - 1):
            for node, task in enumerate(wishes):
                if owners[task] < 0:
                    self._give(task, node)

    def fill_the_rest(self) -> None:
        """The tasks that no node with room has listed: of all pairs the nearest first, around the ring."""
        left = [task for task, owner in enumerate(self.owners) if owner < 0]
        if not left:
            return
        open_nodes = [node for node in range(len(self.room)) if self._has_room(node)]
        ring = sorted((point, node) for node in open_nodes for point in self.points[node])
        nearest = []  # a heap of (distance, task, index into the ring)
        for task in left:
            index = bisect_left(ring, (self.places[task], _NOBODY)) % len(ring)
            nearest.append(((ring[index][0] - self.places[task]) % _PLACES, task, index))
        heapify(nearest)
        while nearest:
            _, task, index = heappop(nearest)
            if self._give(task, ring[index][1]):
                continue
            while not self._has_room(ring[index][1]):
                index = (index + 1) % len(ring)
            heappush(nearest, ((ring[index][0] - self.places[task]) % _PLACES, task, index))

    def _has_room(self, node: int) -> bool:
        return self.room[node] > 0 or (self.room[node] == 0 and self.spare > 0)

    def _give(self, task: int, node: int) -> bool:
        if not self._has_room(node):
            return False
        self.owners[task] = node
        self.room[node] -= 1
        self.spare -= self.room[node] < 0
        return True
