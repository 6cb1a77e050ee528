"""S2, S3 and S5 by the witness and the history: nothing forgotten, left open, or accepted from somebody else.

The witness is believed, and the history judged by it. Of the history alone: the order
of starts and endings, which is on the database's one clock.

Pure: no clock, no I/O.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise

from storm.evidence import Evidence, Harm, Line, Run, Skip, Task, Write

# Beyond the lease: others begin after 3 s and 0.5 s for each place, a new node settles first, and the
# machine is busy.
PATIENCE_SECONDS = 12.0
BACK_OFF_SECONDS = 10.0  # after a second loss in a row
TICK_SECONDS_OFF = 0.001  # intervals don't drift, not even a millisecond
NODE_SECONDS_OFF = 0.5  # a node decides by its own reading of the database's clock


def open_endings(lines: Iterable[Line], runs: Sequence[Run]) -> list[str]:
    """S3: what the witness saw begin has an ending in the history, and nothing runs any more."""
    known = {run.id for run in runs}
    found = [
        f"run {run} began and is not in the history"
        for run in sorted({line.run for line in lines})
        if run not in known
    ]
    return found + [
        f"{run.task}: run {run.id} on {run.node} has no ending"
        for run in runs
        if run.status == "running" or run.finished_at is None
    ]


def wrongly_accepted(lines: Iterable[Line], runs: Sequence[Run]) -> list[str]:
    """S5: a success is that of the very process that held the run and came to its end."""
    ends = {line.run: line for line in lines if line.event == "end"}
    found = []
    for run in runs:
        if run.status != "succeeded":
            continue
        line = ends.get(run.id)
        if line is None:
            found.append(f"{run.task}: run {run.id} succeeded, and no job of it came to its end")
        elif run.result != {"run": line.run, "pid": line.pid, "node": line.node} or run.node != line.node:
            found.append(f"{run.task}: run {run.id} of {run.node} has the result of somebody else")
    return found


def late_writes(writes: Iterable[Write], runs: Iterable[Run], lines: Iterable[Line]) -> list[str]:
    """A guarded write comes before the task's next run; and is there, if its job was told so."""
    following = {run.id: after for of_task in by_task(runs).values() for run, after in pairwise(of_task)}
    found, there = [], set()
    for write in writes:
        there.add((write.run, write.serial))
        after = following.get(write.run)
        if after is not None and write.at >= after.started_at:
            seconds = write.at - after.started_at
            found.append(
                f"{write.task}: run {write.run} wrote {seconds:.3f} s after run {after.id} had begun"
            )
    return found + [
        f"{line.task}: write {line.serial} of run {line.run} was confirmed and is not there"
        for line in lines
        if line.event == "guarded" and (line.run, line.serial) not in there
    ]


def forgotten(evidence: Evidence) -> list[str]:
    """S2: every tick became a run or a recorded skip, every lost run was followed, none waited too long."""
    patience = evidence.ttl_seconds + PATIENCE_SECONDS + _away_seconds(evidence.harms)
    found: list[str] = []
    runs, skips = by_task(evidence.runs), _skips_by_task(evidence.skips)
    for task in evidence.tasks:
        of_task = runs[task.name]
        if not of_task:
            found.append(f"{task.name}: never started")
            continue
        found += (
            _late(of_task, patience)
            + _abandoned(task, of_task, patience)
            + _undecided(task, of_task, skips[task.name])
        )
        overdue = evidence.now - min(task.next_run_at, task.due_at or task.next_run_at)
        if overdue > patience:
            found.append(f"{task.name}: has been due for {overdue:.1f} s and does not start")
    return found


def lateness(runs: Sequence[Run]) -> list[float]:
    """Of each run of one task: how long after it was due, and after the run before had ended, it began."""
    found = []
    for place, run in enumerate(runs):
        free_at = run.scheduled_for
        if place and (ended_at := runs[place - 1].finished_at) is not None:
            free_at = max(free_at, ended_at)
        found.append(max(0.0, run.started_at - free_at))
    return found


def _late(runs: Sequence[Run], patience: float) -> list[str]:
    return [
        f"{run.task}: run {run.id} began {seconds:.1f} s after it was due"
        for run, seconds in zip(runs, lateness(runs), strict=True)
        if seconds > patience
    ]


def _abandoned(task: Task, runs: Sequence[Run], patience: float) -> list[str]:
    """Lost and interrupted runs after which the task did not start again in time.

    Not only a successor counts: while a second loss in a row waits, a tick may come first.
    """
    found = []
    for run, after in pairwise([*runs, None]):
        if run is None or run.status not in {"lost", "interrupted"} or run.finished_at is None:
            continue
        if after is None and task.due_at is None:
            found.append(f"{run.task}: run {run.id} was {run.status}, and nothing followed")
        elif after is not None and after.started_at - run.finished_at > patience + BACK_OFF_SECONDS:
            seconds = after.started_at - run.finished_at
            found.append(
                f"{run.task}: run {run.id} was {run.status}, and {seconds:.1f} s later another began"
            )
    return found


def _undecided(task: Task, runs: Sequence[Run], skips: Sequence[float]) -> list[str]:
    """Ticks that lie off the grid, and those about which nothing was decided.

    A run stands for all ticks up to its start (`missed: once`), a recorded skip for
    those up to its own moment.
    """
    ticks = [(run.scheduled_for, run.started_at) for run in runs if run.trigger == "schedule"]
    found = []
    for (tick, started_at), (following, followed_at) in pairwise([*ticks, (task.next_run_at, float("inf"))]):
        periods = round((following - tick) / task.every_seconds)
        if periods < 1 or abs(following - tick - periods * task.every_seconds) > TICK_SECONDS_OFF:
            found.append(f"{task.name}: the tick after {tick:.3f} is {following:.3f}, which is no tick")
            continue
        for number in range(1, periods):
            moment = tick + number * task.every_seconds
            place = bisect_left(skips, moment - NODE_SECONDS_OFF)
            is_skipped = place < len(skips) and skips[place] <= followed_at
            if moment > started_at + NODE_SECONDS_OFF and not is_skipped:
                found.append(f"{task.name}: nothing was decided on the tick {moment:.3f}")
    return found


def by_task(runs: Iterable[Run]) -> dict[str, list[Run]]:
    """task -> its runs, in the order of their starts."""
    found: dict[str, list[Run]] = defaultdict(list)
    for run in sorted(runs, key=lambda run: run.id):
        found[run.task].append(run)
    return found


def _skips_by_task(skips: Iterable[Skip]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = defaultdict(list)
    for skip in sorted(skips, key=lambda skip: skip.at):
        found[skip.task].append(skip.at)
    return found


def _away_seconds(harms: Iterable[Harm]) -> float:
    databases = {"database_away", "postgres_restarted"}
    return max((harm.ended_at - harm.began_at for harm in harms if harm.kind in databases), default=0.0)
