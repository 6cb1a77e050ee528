"""The story of failover.py: what happens to ten tasks when one of six workers dies, is blocked or frozen.

The same for everybody, seen by the same witness:

    killed      SIGKILL of a worker's own process while its jobs run
    blocked     a job that blocks its thread for a minute
    frozen      SIGSTOP of a worker's own process for a minute, then SIGCONT
    all frozen  the same with all that descends from it, its jobs or its guardian

For a worker of one process the last two are the same, and told once.
"""

import json
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks.apparatus.children import BenchmarkError
from benchmarks.apparatus.held import Held, family
from benchmarks.apparatus.schedulers import WORKERS, Scheduler, Team
from benchmarks.apparatus.witness import JOB_SECONDS, ORDER, PERIOD_SECONDS, TASKS, WITNESS
from benchmarks.report.failover import ALL_FROZEN, BLOCKED, FROZEN, KILLED, Findings, Ordeal
from benchmarks.report.testimony import (
    Execution,
    Witness,
    first_round,
    overlaps,
    seconds_until_again,
    shares,
)
from benchmarks.sections.stage import note

START_SECONDS_MAX = 90.0
ROUND_SECONDS_MAX = 3.0 * PERIOD_SECONDS
LOOK_SECONDS = 0.1
# A job is struck when it has begun and is not about to end.
AGE_SECONDS_MIN, AGE_SECONDS_MAX = 1.0, 2.5


@dataclass(frozen=True)
class Timing:
    """How long each misfortune lasts, and how long what follows is watched."""

    takeover_seconds_max: float = 75.0
    block_seconds: float = 60.0
    freeze_seconds: float = 60.0
    afterwards_seconds: float = PERIOD_SECONDS + JOB_SECONDS


QUICK = Timing(takeover_seconds_max=20.0, block_seconds=20.0, freeze_seconds=20.0)


class Watch:
    """Reads the witness of a team that is up."""

    def __init__(self, team: Team, name: str) -> None:
        self._file = (team.folder / WITNESS).open("rb")
        self._name = name
        self._rest = b""
        self._witness = Witness()

    def close(self) -> None:
        """Looks no more."""
        self._file.close()

    def look(self) -> Witness:
        """The witness, with all that was said by now."""
        *lines, self._rest = (self._rest + self._file.read()).split(b"\n")
        self._witness.hear(json.loads(line) for line in lines)
        return self._witness

    def until(self, condition: Callable[[Witness], object], seconds_max: float) -> bool:
        """Whether the condition came true in time."""
        deadline = time.monotonic() + seconds_max
        while not condition(self.look()):
            if time.monotonic() > deadline:
                return False
            time.sleep(LOOK_SECONDS)
        return True

    def expect(self, what: str, condition: Callable[[Witness], object], seconds_max: float) -> None:
        """As until(), for what the story can't go on without. Raises BenchmarkError."""
        if not self.until(condition, seconds_max):
            raise BenchmarkError(f"{self._name}: not within {seconds_max:g} s: {what}")

    def go_on(self, seconds: float) -> None:
        """Lets time pass, and hears the witness meanwhile."""
        self.until(lambda _: False, seconds)


def tell(scheduler: Scheduler, timing: Timing) -> Findings:
    """The whole story of one contestant."""
    findings = Findings()
    note(f"({scheduler.letter}) {scheduler.name}")
    with scheduler.up() as team, _watching(team, scheduler.name) as watch:
        if team.announces:
            watch.expect("all workers ready", lambda one: len(one.ready) == WORKERS, START_SECONDS_MAX)
        findings.shares = _first_shares(watch)
        ordeals: dict[str, Callable[[], Ordeal | None]] = {
            KILLED: lambda: _killed(watch, team, timing),
            BLOCKED: lambda: _blocked(watch, team, timing),
            FROZEN: lambda: _frozen(watch, team, timing, whole=False),
            ALL_FROZEN: lambda: _frozen(watch, team, timing, whole=True),
        }
        for name, ordeal in ordeals.items():
            befallen = ordeal()
            if befallen is not None:
                findings.ordeals[name] = befallen
                note(f"    {name}: again {befallen.took()}, overlaps {befallen.overlapped()}")
    return findings


@contextmanager
def _watching(team: Team, name: str) -> Iterator[Watch]:
    watch = Watch(team, name)
    try:
        yield watch
    finally:
        watch.close()


def _first_shares(watch: Watch) -> list[int]:
    """How the first round that begins with all workers ready is shared."""
    ready_at = time.monotonic()
    watch.expect(
        "each task runs",
        lambda one: len(first_round(one.executions(), ready_at)) == len(TASKS),
        ROUND_SECONDS_MAX,
    )
    return shares(first_round(watch.look().executions(), ready_at).values(), WORKERS)


def _killed(watch: Watch, team: Team, timing: Timing) -> Ordeal:
    worker, lost = _under_way(watch)
    with Held([team.pid(worker)]) as process:
        process.send(signal.SIGKILL)
    at = time.monotonic()
    team.revive(worker)
    watch.until(
        lambda one: None not in seconds_until_again(one.executions(), lost, at), timing.takeover_seconds_max
    )
    watch.go_on(JOB_SECONDS)  # what the dead left may still be working
    return _ordeal(watch, lost, at)


def _blocked(watch: Watch, team: Team, timing: Timing) -> Ordeal:
    order = team.folder / f"{ORDER}-in-writing"
    order.write_text(str(timing.block_seconds), encoding="utf-8")
    order.rename(team.folder / ORDER)
    watch.expect("a job blocks", _stuck, ROUND_SECONDS_MAX)
    lost = _stuck(watch.look())
    at = lost[0].start
    watch.go_on(timing.block_seconds + timing.afterwards_seconds)
    return _ordeal(watch, lost, at)


def _frozen(watch: Watch, team: Team, timing: Timing, whole: bool) -> Ordeal | None:
    worker, lost = _under_way(watch)
    pid = team.pid(worker)
    frozen = family(pid) if whole else [pid]
    if whole and len(frozen) == 1:
        return None
    with Held(frozen) as processes:
        at = time.monotonic()
        processes.send(signal.SIGSTOP)
        try:
            watch.go_on(timing.freeze_seconds)
        finally:
            # Jobs wake before whoever could still stop them: the worst order.
            processes.send(signal.SIGCONT, last_first=True)
        watch.go_on(timing.afterwards_seconds)
    return _ordeal(watch, lost, at)


def _under_way(watch: Watch) -> tuple[str, list[Execution]]:
    """The busiest worker at a moment when jobs are under way, and what it runs."""
    found: list[Execution] = []

    def look(witness: Witness) -> bool:
        now = time.monotonic()
        found[:] = [
            one for one in witness.running(now) if AGE_SECONDS_MIN <= now - one.start <= AGE_SECONDS_MAX
        ]
        return bool(found)

    watch.expect("a job is under way", look, ROUND_SECONDS_MAX)
    workers = [one.worker for one in found]
    worker = max(sorted(set(workers)), key=workers.count)
    return worker, [one for one in found if one.worker == worker]


def _stuck(witness: Witness) -> list[Execution]:
    return [one for one in witness.executions() if one.blocked]


def _ordeal(watch: Watch, lost: Sequence[Execution], at: float) -> Ordeal:
    executions = watch.look().executions()
    again = seconds_until_again(executions, lost, at)
    return Ordeal(again, overlaps(executions, at), time.monotonic() - at)
