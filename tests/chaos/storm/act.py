"""One act of a storm: a cluster, what is done to it, the calm after it, and the evidence.

The storm itself has a short lease, so that more can happen. The second act has the
settings that the product ships with, but for the proof of death: what a database that
is away for 10 s costs, and how long the runs of a killed node wait for their lease.
"""

import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fleet import free_ports

from storm import faults, gathering
from storm.evidence import Evidence, Harm
from storm.network import Network
from storm.plan import ALL, Fault, Step
from storm.postgres import StormPostgres
from storm.stage import Stage, wait_for

TASKS = 20
# Each task has a period of its own, or all would start in one second for ever.
EVERY_SECONDS = (6.0, 8.0)
RUN_SECONDS = (1.0, 5.0)


@dataclass(frozen=True)
class Script:
    """What an act is to be. steps: what happens; runs_wanted: go on until the witness saw so many."""

    name: str
    seed: int
    nodes: int
    ttl_seconds: float
    margin_seconds: float
    proof_of_death: bool
    steps: Iterable[Step]
    steps_min: int
    partitions: str
    runs_wanted: int = 0


def settings(script: Script, witness: Path, port: int) -> dict[str, Any]:
    """The configuration of the nodes."""
    tasks: dict[str, Any] = {}
    for number in range(TASKS):
        place = number / (TASKS - 1)
        params = {"path": str(witness), "seconds": round(_between(RUN_SECONDS, place), 2)}
        is_async = number % 4 == 3
        tasks[f"task-{number + 1:02}"] = {
            "function": "storm.jobs:work_async" if is_async else "storm.jobs:work",
            # The other way round, so that long runs come often and now and then meet their next tick.
            "every": round(_between(EVERY_SECONDS, 1 - place), 1),
            "timeout": "60s",
            "retries": 1,
            "params": params if is_async else params | {"guarded": number % 2 == 0},
        }
    return {
        "http": {"port": port},
        "cluster": {
            "instances": script.nodes,
            "ttl": script.ttl_seconds,
            "margin": script.margin_seconds,
            "proof_of_death": script.proof_of_death,
            "settle": 1.5,
            "drain_seconds": 2,
        },
        "logging": {"level": "info", "format": "json"},
        "tasks": tasks,
    }


def _between(bounds: tuple[float, float], place: float) -> float:
    return bounds[0] + (bounds[1] - bounds[0]) * place


def play(script: Script, folder: Path, network: Network, say: "Say") -> Evidence:
    """Plays one act and returns the evidence, which is kept in the folder as well."""
    folder.mkdir(parents=True)
    witness = folder / "witness.jsonl"
    witness.touch()
    witness.with_suffix(".locks").mkdir()
    evidence = Evidence(
        act=script.name,
        seed=script.seed,
        nodes=script.nodes,
        ttl_seconds=script.ttl_seconds,
        margin_seconds=script.margin_seconds,
        proof_of_death=script.proof_of_death,
        partitions=script.partitions,
    )
    postgres = StormPostgres(folder / "postgres", network.database_host)
    stage = Stage(folder, network, postgres, settings(script, witness, free_ports(script.nodes + 1)))
    try:
        stage.open()
        evidence.opened_at = time.monotonic()
        evidence.seconds_ahead = postgres.seconds_ahead()
        # What breaks breaks in the middle of work, and the first herd of starts is over.
        wait_for(lambda: runs_seen(witness) >= TASKS, 60, "a run of each task")
        _rage(script, stage, evidence, say)
        stage.wait_for_members()
        say(f"{script.name}: calm")
        evidence.census = gathering.wait_for_rest(stage, evidence, TASKS)
        evidence.closed_at = time.monotonic()
        evidence.clock_steps_seconds = postgres.seconds_ahead() - evidence.seconds_ahead
        stage.stop_all()
        gathering.gather(stage, evidence, witness)
    finally:
        stage.close()
        postgres.server.stop()
    evidence.save(folder / "evidence.json")
    return evidence


def _rage(script: Script, stage: Stage, evidence: Evidence, say: "Say") -> None:
    for number, step in enumerate(script.steps):
        seen = runs_seen(stage.folder / "witness.jsonl")
        if number >= script.steps_min and seen >= script.runs_wanted:
            return
        if step.waits:
            stage.wait_for_members()
        threading.Event().wait(step.pause_seconds)
        say(f"{script.name}: {seen} runs; {number + 1}. " + " and ".join(_words(one) for one in step.faults))
        with ThreadPoolExecutor(len(step.faults)) as pool:
            # In the order of the plan, whoever is done first.
            evidence.harms += pool.map(lambda fault: _carry_out(stage, fault), step.faults)


def _carry_out(stage: Stage, fault: Fault) -> Harm:
    if fault.node != ALL:
        stage.wait_for_members(fault.node)
    node = None if fault.node == ALL else f"node-{fault.node}"
    began_at = time.monotonic()
    facts = faults.KINDS[fault.kind](stage, fault)
    return Harm(fault.kind, node, fault.variant, began_at, time.monotonic(), facts)


def runs_seen(witness: Path) -> int:
    """How many executions began, by the witness."""
    with witness.open("rb") as lines:
        return sum(b'"event": "start"' in line for line in lines)


def _words(fault: Fault) -> str:
    where = "" if fault.node == ALL else f" on node-{fault.node}"
    how = ", ".join(
        part for part in (fault.variant, f"{fault.hold_seconds:g} s" if fault.hold_seconds else "") if part
    )
    return fault.kind.replace("_", " ") + where + (f" ({how})" if how else "")


class Say:
    """Prints a line at once, with the seconds since the storm began."""

    def __init__(self) -> None:
        self._began_at = time.monotonic()

    def __call__(self, line: str) -> None:
        print(f"{time.monotonic() - self._began_at:7.1f} s  {line}", flush=True)
