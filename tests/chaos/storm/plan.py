"""Which faults happen, in which order: the same for the same seed, on every machine.

A deck holds each kind of fault as often as its weight says; it is shuffled and dealt,
then the next one. So every kind has its turn in each round, and no order is favoured.
What only the moment can tell (which children a node has) is chosen by `chance`.

Pure: no clock, no I/O; the randomness is the seed's.
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

ALL = 0
"""In place of a node's number: all of them, or the database."""

# How often each kind stands in the deck of the long form; the short form has each once.
WEIGHTS: Mapping[str, int] = {
    "node_killed": 4,
    "child_killed": 2,
    "node_frozen": 1,
    "everything_frozen": 2,
    "loop_blocked": 1,
    "partition": 2,
    "connections_cut": 2,
    "rolling_restart": 1,
    "postgres_restarted": 1,
    "listener_lost": 2,
}
VARIANTS: Mapping[str, tuple[str, ...]] = {
    "everything_frozen": ("all wake at once", "guardian wakes half a second late"),
    "partition": ("switched off in between", "cable unplugged"),
    "connections_cut": ("of a node", "of all nodes"),
    "postgres_restarted": ("fast", "immediate"),
    "listener_lost": ("terminated", "deaf"),
}
# These last, and leave most of the cluster alone: something else may happen meanwhile.
LONG = frozenset({"node_frozen", "everything_frozen", "partition"})
MEANWHILE = ("node_killed", "child_killed", "connections_cut")
MEANWHILE_CHANCE = 0.35
DEAF_SECONDS = 9.0  # longer than a listener takes to find out: probe and answer
RESTART_SECONDS = (0.2, 3.0)


@dataclass(frozen=True)
class Fault:
    """One thing that breaks. hold_seconds: how long it stays so, or until the node is started again."""

    kind: str
    node: int
    variant: str = ""
    hold_seconds: float = 0.0
    chance: float = 0.0


@dataclass(frozen=True)
class Step:
    """What happens at one moment. waits: whether all nodes are members again before it."""

    pause_seconds: float
    waits: bool
    faults: tuple[Fault, ...]


@dataclass(frozen=True)
class Terms:
    """What a sequence depends on, beside its seed. rolled: which nodes a rolling restart restarts."""

    nodes: int
    ttl_seconds: float
    weights: Mapping[str, int]
    pause_seconds_max: float = 2.0
    rolled: str = "all nodes"


def steps(seed: int, terms: Terms) -> Iterator[Step]:
    """The endless sequence of one seed."""
    chance = random.Random(seed)
    while True:
        deck = [kind for kind, weight in terms.weights.items() for _ in range(weight)]
        chance.shuffle(deck)
        for kind in deck:
            yield _step(kind, chance, terms)


def _step(kind: str, chance: random.Random, terms: Terms) -> Step:
    first = _fault(kind, chance.randint(1, terms.nodes), chance, terms)
    faults = [first]
    other = chance.choice([number for number in range(1, terms.nodes + 1) if number != first.node])
    meanwhile = chance.choice(MEANWHILE)
    if chance.random() < MEANWHILE_CHANCE and kind in LONG and meanwhile in terms.weights:
        faults.append(_fault(meanwhile, other, chance, terms, alone=False))
    return Step(chance.uniform(0.1, terms.pause_seconds_max), chance.random() < 0.7, tuple(faults))


def _fault(kind: str, node: int, chance: random.Random, terms: Terms, *, alone: bool = True) -> Fault:
    variant = chance.choice(VARIANTS.get(kind, ("",)))
    if kind == "rolling_restart":
        variant = terms.rolled
    if not alone and kind == "connections_cut":
        variant = "of a node"
    if kind in {"rolling_restart", "postgres_restarted"} or variant == "of all nodes":
        node = ALL
    return Fault(kind, node, variant, round(_hold_seconds(kind, variant, chance, terms), 2), chance.random())


def _hold_seconds(kind: str, variant: str, chance: random.Random, terms: Terms) -> float:
    match kind:
        case "node_killed":
            return chance.uniform(*RESTART_SECONDS)
        case "node_frozen" | "partition" | "loop_blocked":
            return terms.ttl_seconds + chance.uniform(1.0, 2.5)
        case "everything_frozen":
            # Long enough for a sweep, and for the runs to start elsewhere: only then does a thaw meet them.
            return terms.ttl_seconds + chance.uniform(2.5, 4.0)
        case "listener_lost" if variant == "deaf":
            return DEAF_SECONDS
        case _:
            return 0.0
