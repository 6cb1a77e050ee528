"""Reads together what a storm left: the witness, the history, the nodes' logs."""

import json
import time
import urllib.request
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from storm.evidence import Census, Evidence, NodeEvent, Run, Sighting, Skip, Task, Write, read_witness
from storm.membership import disagreement, uneven
from storm.stage import Stage, wait_for

REST_SECONDS_MAX = 90.0

RUNS = """
select id, task_name as task, node_name as node, incarnation, status, trigger,
       extract(epoch from scheduled_for)::float8 as scheduled_for,
       extract(epoch from started_at)::float8 as started_at,
       extract(epoch from finished_at)::float8 as finished_at,
       predecessor_id as predecessor, result, error
  from runs
 order by id
"""
TASKS = """
select name, (definition ->> 'every')::float8 as every_seconds,
       extract(epoch from next_run_at)::float8 as next_run_at,
       extract(epoch from due_at)::float8 as due_at, due_run_id as due_run
  from tasks
"""
WRITES = "select run_id as run, task, serial, extract(epoch from at)::float8 as at from storm_writes"
EVENTS = """
select id, extract(epoch from at)::float8 as at, event, node, task, detail
  from events
 where channel = 'node_events' or event = 'skipped'
 order by id
"""
LAST_STARTS = """
select distinct on (task_name) task_name as task, node_name as node
  from runs
 where started_at > to_timestamp(%s)
 order by task_name, id desc
"""
NOW = "select extract(epoch from clock_timestamp())::float8 as now"


def wait_for_rest(stage: Stage, evidence: Evidence, tasks: int) -> Census | None:
    """Waits until each task has started anew and all is even and agreed on; the last look if it never is."""
    since = stage.postgres.rows(NOW)[0]["now"]
    census: Census | None = None

    def is_even() -> bool:
        nonlocal census
        starts = {row["task"]: row["node"] for row in stage.postgres.rows(LAST_STARTS, since)}
        if len(starts) < tasks:
            return False
        census = Census(time.monotonic(), dict(_owners(stage)), starts)
        return not uneven(census, evidence.nodes) and not disagreement(census)

    try:
        wait_for(is_even, REST_SECONDS_MAX, "an even spread")
    except AssertionError:
        return census  # the checker says what is wrong with it
    return census


def _owners(stage: Stage) -> Iterator[tuple[str, dict[str, str]]]:
    for number in stage.numbers:
        url = f"http://{stage.network.host(number)}:{stage.port + number}/tasks"
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {stage.postgres.token}"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            yield f"node-{number}", {task["name"]: task["owner"] for task in json.load(answer)["tasks"]}


def gather(stage: Stage, evidence: Evidence, witness: Path) -> None:
    """Fills the evidence with everything that was recorded; the nodes have ended by now."""
    rows = stage.postgres.rows
    evidence.lines = read_witness(witness)
    evidence.runs = [Run(**row) for row in rows(RUNS)]
    evidence.tasks = [Task(**row) for row in rows(TASKS)]
    evidence.writes = [Write(**row) for row in rows(WRITES)]
    for row in rows(EVENTS):
        if row["event"] == "skipped":
            evidence.skips.append(Skip(row["task"], row["at"], row["detail"]))
        else:
            evidence.node_events.append(NodeEvent(row["id"], row["at"], row["event"], row["node"]))
    evidence.now = rows(NOW)[0]["now"]
    evidence.endings = list(stage.endings)
    evidence.sightings = [
        sighting for number in stage.numbers for sighting in _sightings(stage.log_file(number), number)
    ]


def _sightings(log: Path, number: int) -> Iterator[Sighting]:
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        entry = _entry(line)
        if entry.get("event") == "members changed":
            at = datetime.fromisoformat(entry["timestamp"]).timestamp()
            yield Sighting(f"node-{number}", at, entry["version"])


def _entry(line: str) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except ValueError:
        return {}  # a traceback of the interpreter, or a line that a SIGKILL cut off
    return entry if isinstance(entry, dict) else {}
