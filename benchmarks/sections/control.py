"""Section `control`: what light nodes alone cost one PostgreSQL, at several numbers of them."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.apparatus.children import BenchmarkError
from benchmarks.apparatus.postgres import Database, Postgres
from benchmarks.report.control import Level
from benchmarks.report.figures import percentile
from benchmarks.sections.stage import note
from server.postgres.statements import load

SQL = load("benchmarks.apparatus", "control.sql")
ROOT = Path(__file__).parents[2]
PROGRAM = "benchmarks.apparatus.light_nodes"
CONNECTIONS_A_NODE = 3
PROCESSES = 2
CHANGES = 5
CHANGE_SECONDS_MAX = 20.0
LOOK_SECONDS = 0.25
SETTLE_SECONDS = 5.0
END_SECONDS_MAX = 60.0


@dataclass(frozen=True)
class Shape:
    """How the light nodes live. tasks: for each node; period_seconds: from one run of a task to the next."""

    seconds: float = 20.0
    tasks_a_node: int = 1
    period_seconds: float = 20.0
    eager: bool = False


class Crowd:
    """The processes of one level."""

    def __init__(self, database: Database, nodes: int, shape: Shape) -> None:
        self._processes = []
        share = -(-nodes // PROCESSES)
        for first in range(0, nodes, share):
            told = {
                "url": database.application_url,
                "first": first,
                "nodes": min(share, nodes - first),
                "tasks": nodes * shape.tasks_a_node,
                "period_seconds": shape.period_seconds,
                "eager": shape.eager,
            }
            argv = [sys.executable, "-m", PROGRAM, json.dumps(told)]
            # They end when their standard input does, and so with this process.
            self._processes.append(
                subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            )

    @property
    def pids(self) -> list[int]:
        """Of the processes."""
        return [process.pid for process in self._processes]

    def tell(self, order: str) -> list[dict[str, Any]]:
        """Gives all of them an order; their answers. Raises BenchmarkError if one of them has ended."""
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write(f"{order}\n")
            process.stdin.flush()
        answers = []
        for process in self._processes:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                raise BenchmarkError(f"light nodes ended with {process.wait()}; see above")
            answers.append(json.loads(line))
        return answers

    def end(self) -> None:
        """They leave."""
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.close()
        for process in self._processes:
            try:
                process.wait(END_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            assert process.stdout is not None
            process.stdout.close()


@contextmanager
def crowd_of(database: Database, nodes: int, shape: Shape) -> Iterator[Crowd]:
    """That many light nodes that have joined and come to rest."""
    crowd = Crowd(database, nodes, shape)
    try:
        crowd.tell("begin")
        time.sleep(SETTLE_SECONDS)
        yield crowd
    finally:
        crowd.end()


def measure(postgres: Postgres, levels: Sequence[int], shape: Shape) -> Iterator[Level]:
    """One level after the other, each on a fresh database."""
    for nodes in levels:
        note(f"{nodes} nodes")
        database = postgres.ringfence_database("control")
        with database.connect() as connection:
            params = {"tasks": nodes * shape.tasks_a_node, "period_seconds": shape.period_seconds}
            connection.execute(SQL["define"], params)
        with crowd_of(database, nodes, shape) as crowd:
            yield _level(postgres, database, crowd, (nodes, shape))


def _level(postgres: Postgres, database: Database, crowd: Crowd, given: tuple[int, Shape]) -> Level:
    nodes, shape = given
    crowd.tell("count")
    began = time.monotonic()
    before = _spent(postgres, database, crowd)
    time.sleep(shape.seconds)
    seen = crowd.tell("report")
    seconds = time.monotonic() - began
    after = _spent(postgres, database, crowd)
    cores, client_cores, wal_bytes = ((new - old) / seconds for new, old in zip(after, before, strict=True))
    heartbeats = sorted(one for report in seen for one in report["heartbeats"])
    deliveries = sorted(one for report in seen for one in report["deliveries"])
    if not heartbeats or not deliveries:
        raise BenchmarkError(
            f"{nodes} nodes: {len(heartbeats)} heartbeats and {len(deliveries)} notifications"
        )
    counts: dict[str, float] = {}
    for report in seen:
        for what, number in report["counts"].items():
            counts[what] = counts.get(what, 0.0) + number / seconds
    known = _changes(database, crowd, nodes)
    return Level(
        nodes=nodes,
        connections=CONNECTIONS_A_NODE * nodes,
        memory_mib=postgres.memory_mib(),
        heartbeats_a_second=len(heartbeats) / seconds,
        heartbeat_seconds=(percentile(heartbeats, 50), percentile(heartbeats, 99)),
        deliveries_a_second=len(deliveries) / seconds,
        delivery_seconds=(percentile(deliveries, 50), percentile(deliveries, 99)),
        counts_a_second=counts,
        wal_bytes_a_second=wal_bytes,
        cores=cores,
        client_cores=client_cores,
        known_seconds=(median(known), max(known)),
    )


def _changes(database: Database, crowd: Crowd, nodes: int) -> list[float]:
    """A member joins and leaves several times: how long until the last of all knew each change."""
    found = []
    with database.connect() as connection:
        incarnation: Any = None
        for _ in range(CHANGES):
            for change in ("join", "leave"):
                row: Any = connection.execute(SQL[change], {"incarnation": incarnation}).fetchone()
                at = time.monotonic()
                incarnation = row[0]
                version: Any = connection.execute(SQL["version"]).fetchone()
                found.append(_until_known(crowd, nodes, str(version[0]), at))
    return found


def _until_known(crowd: Crowd, nodes: int, version: str, at: float) -> float:
    """Seconds from a moment until all knew a version of the membership; at most CHANGE_SECONDS_MAX."""
    while time.monotonic() < at + CHANGE_SECONDS_MAX:
        time.sleep(LOOK_SECONDS)
        told = [known.get(version, (0.0, 0)) for known in crowd.tell("known")]
        if sum(count for _, count in told) >= nodes:
            return max(last for last, _ in told) - at
    return CHANGE_SECONDS_MAX


def _spent(postgres: Postgres, database: Database, crowd: Crowd) -> tuple[float, float, int]:
    """Seconds of processors that PostgreSQL and the light nodes have had, and bytes of the log."""
    with database.connect() as connection:
        row: Any = connection.execute(SQL["log"]).fetchone()
    return postgres.cpu_seconds(), sum(map(postgres.cpu_seconds_of, crowd.pids)), row[0]


def as_object(levels: Sequence[Level]) -> dict[str, Any]:
    """For the JSON."""
    return {"levels": [asdict(level) for level in levels]}
