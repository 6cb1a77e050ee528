"""What a storm leaves behind, as plain records: all that the checker and the report know.

Two clocks: the witness and the tests write CLOCK_MONOTONIC (`*_at` of Line and Harm);
PostgreSQL and the nodes' logs show the host's wall clock (all others), which is
`seconds_ahead` of it. Nothing that proves safety compares the two.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Line:
    """One line of the witness. held_by: the run whose process was there already at this one's start."""

    task: str
    run: int
    node: str
    pid: int
    event: str
    at: float
    held_by: int | None = None
    serial: int = 0


@dataclass(frozen=True)
class Run:
    """One row of the history."""

    id: int
    task: str
    node: str
    incarnation: int
    status: str
    trigger: str
    scheduled_for: float
    started_at: float
    finished_at: float | None
    predecessor: int | None = None
    result: dict[str, Any] | None = None
    error: str | None = None


@dataclass(frozen=True)
class Task:
    """How a task stood when all was over."""

    name: str
    every_seconds: float
    next_run_at: float
    due_at: float | None = None
    due_run: int | None = None


@dataclass(frozen=True)
class Write:
    """One row that a job committed under guard()."""

    run: int
    task: str
    serial: int
    at: float


@dataclass(frozen=True)
class Skip:
    """Ticks up to `at` on which a task was not started, as the product recorded it."""

    task: str
    at: float
    reason: str | None


@dataclass(frozen=True)
class NodeEvent:
    """One event of node_events; its id is the membership's version."""

    id: int
    at: float
    event: str
    node: str


@dataclass(frozen=True)
class Sighting:
    """A node read the members anew, and told its log."""

    node: str
    at: float
    version: int


@dataclass(frozen=True)
class Harm:
    """One fault as it was carried out. facts: what was measured meanwhile."""

    kind: str
    node: str | None
    variant: str
    began_at: float
    ended_at: float
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Ending:
    """A node's process ended, without being told to by the tests at that moment."""

    node: str
    at: float
    code: int


@dataclass(frozen=True)
class Census:
    """How the cluster stood in calm. owners: asked node -> task -> owner; starts: task -> node."""

    at: float
    owners: dict[str, dict[str, str]]
    starts: dict[str, str]


@dataclass
class Evidence:
    """Everything about one act. opened_at, closed_at: between them all nodes were to be members."""

    act: str
    seed: int
    nodes: int
    ttl_seconds: float
    margin_seconds: float
    proof_of_death: bool
    partitions: str
    opened_at: float = 0.0
    closed_at: float = 0.0
    now: float = 0.0
    seconds_ahead: float = 0.0
    clock_steps_seconds: float = 0.0
    lines: list[Line] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    tasks: list[Task] = field(default_factory=list)
    writes: list[Write] = field(default_factory=list)
    node_events: list[NodeEvent] = field(default_factory=list)
    skips: list[Skip] = field(default_factory=list)
    sightings: list[Sighting] = field(default_factory=list)
    harms: list[Harm] = field(default_factory=list)
    endings: list[Ending] = field(default_factory=list)
    census: Census | None = None

    def save(self, path: Path) -> None:
        """As one JSON file, from which everything can be judged again."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")


_RECORDS = {
    "lines": Line,
    "runs": Run,
    "tasks": Task,
    "writes": Write,
    "skips": Skip,
    "node_events": NodeEvent,
    "sightings": Sighting,
    "harms": Harm,
    "endings": Ending,
}


def load(path: Path) -> Evidence:
    """What save() wrote."""
    data = json.loads(path.read_text(encoding="utf-8"))
    for name, record in _RECORDS.items():
        data[name] = [record(**one) for one in data[name]]
    if data["census"] is not None:
        data["census"] = Census(**data["census"])
    return Evidence(**data)


def read_witness(path: Path) -> list[Line]:
    """The witness's file; a line that was cut off by a SIGKILL in the middle would be an error."""
    return [Line(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
