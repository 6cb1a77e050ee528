"""What control_plane.py tells: a row for each number of nodes, and what follows for a thousand. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.report.figures import count, milliseconds
from benchmarks.report.section import Section, Table

FAR = 1_000
"""Nodes that no machine here can be, and that the figures are carried on to."""


@dataclass(frozen=True)
class Level:
    """What was measured with so many nodes. Pairs are p50 and p99, of known_seconds median and longest.

    cores: processors that PostgreSQL kept busy; client_cores: that the light nodes did.
    memory_mib: of all of PostgreSQL, shared pages divided by their users.
    known_seconds: from the commit of a change of the membership until the last node knew it.
    """

    nodes: int
    connections: int
    memory_mib: float
    heartbeats_a_second: float
    heartbeat_seconds: tuple[float, float]
    deliveries_a_second: float
    delivery_seconds: tuple[float, float]
    wal_bytes_a_second: float
    cores: float
    client_cores: float
    known_seconds: tuple[float, float]
    counts_a_second: Mapping[str, float] = field(default_factory=dict)


def section(levels: Sequence[Level], facts: str = "") -> Section:
    """The tables of all levels."""
    load = Table(
        "Light nodes on one PostgreSQL: what they ask, a second",
        (
            "nodes", "connections", "heartbeats", "runs", "notifications delivered", "readings of the tasks",
            "of the members", "log KiB", "PostgreSQL, cores", "MiB", "light nodes, cores",
        ),
        [_load(level) for level in levels],
    )  # fmt: skip
    times = Table(
        "How long it takes, ms",
        (
            "nodes", "heartbeat p50", "p99", "notification p50", "p99",
            "until all know a change of the membership, median", "longest",
        ),
        [_times(level) for level in levels],
    )  # fmt: skip
    return Section("control", [load, times], notes=[*_far(levels), *([facts] if facts else [])])


def carried_on(levels: Sequence[Level], nodes: int) -> float:
    """PostgreSQL's cores with so many nodes, by the a*n + b*n^2 that all levels fit best.

    A part grows with the nodes (each beats); a part with their square (each hears of each one's
    runs, and reads rows of all). Neither can be negative: where noise says so, it is 0.
    """
    n2, n3, n4 = (sum(level.nodes**power for level in levels) for power in (2, 3, 4))
    c1, c2 = (sum(level.cores * level.nodes**power for level in levels) for power in (1, 2))
    spread = n2 * n4 - n3 * n3
    line, square = (c1 * n4 - c2 * n3) / spread, (c2 * n2 - c1 * n3) / spread
    if square < 0:
        line, square = c1 / n2, 0.0
    elif line < 0:
        line, square = 0.0, c2 / n4
    return line * nodes + square * nodes**2


def _far(levels: Sequence[Level]) -> list[str]:
    if len(levels) < 2:
        return []
    cores = carried_on(levels, FAR)
    return [
        f"Carried on to {FAR:,} nodes by the a·n + b·n² that these rows fit best: "
        f"{cores:.1f} cores of PostgreSQL."
    ]


def _load(level: Level) -> list[str]:
    counts = level.counts_a_second
    return [
        str(level.nodes),
        str(level.connections),
        count(level.heartbeats_a_second),
        count(counts.get("runs", 0.0)),
        count(level.deliveries_a_second),
        count(counts.get("readings of the tasks", 0.0)),
        count(counts.get("readings of the members", 0.0)),
        count(level.wal_bytes_a_second / 1024),
        f"{level.cores:.2f}",
        count(level.memory_mib),
        f"{level.client_cores:.2f}",
    ]


def _times(level: Level) -> list[str]:
    pairs = (level.heartbeat_seconds, level.delivery_seconds, level.known_seconds)
    return [str(level.nodes), *(milliseconds(one) for pair in pairs for one in pair)]
