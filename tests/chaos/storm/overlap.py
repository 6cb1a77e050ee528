"""S1 by the witness: no two executions of a task at one moment.

Two kinds of proof. Ticks: a process that wrote a line was executing then, so a later
run must begin after the last line of the one before. And the task's lock, which the
kernel holds for a process until its last instruction: it tells of one that lived and
did not tick.

One exception, which is counted apart: a process that had been frozen while its lease
passed, and executes a little between its thaw and its death. By then it must not write
anything guarded, and its result must not be accepted.

Pure: no clock, no I/O.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from storm.evidence import Harm, Line


@dataclass(frozen=True)
class Execution:
    """What the witness saw of one run."""

    run: int
    lines: tuple[Line, ...]

    @property
    def began_at(self) -> float:
        return self.lines[0].at

    @property
    def last_at(self) -> float:
        return self.lines[-1].at

    @property
    def pid(self) -> int:
        return self.lines[0].pid


@dataclass(frozen=True)
class Thaw:
    """A process that went on after it was thawed, beside its successor."""

    task: str
    run: int
    successor: int
    milliseconds: float


def executions(lines: Iterable[Line]) -> dict[str, list[Execution]]:
    """task -> its executions in the order of their starts."""
    told: dict[str, dict[int, list[Line]]] = defaultdict(lambda: defaultdict(list))
    for line in lines:
        told[line.task][line.run].append(line)
    return {
        task: sorted(
            (Execution(run, tuple(sorted(found, key=lambda line: line.at))) for run, found in runs.items()),
            key=lambda execution: execution.began_at,
        )
        for task, runs in told.items()
    }


def overlaps(
    lines: Iterable[Line], harms: Sequence[Harm], succeeded: Collection[int] = ()
) -> tuple[list[str], list[Thaw]]:
    """What overlapped, in sentences; and what was only a thaw. succeeded: whose result was accepted."""
    found: list[str] = []
    thaws: list[Thaw] = []
    for task, ordered in executions(lines).items():
        by_run = {execution.run: execution for execution in ordered}
        for place, earlier in enumerate(ordered):
            for later in ordered[place + 1 :]:
                if later.began_at > earlier.last_at:
                    break
                thaw = _thaw(task, earlier, later, harms) or _thaw(task, later, earlier, harms)
                if thaw is not None and thaw.run not in succeeded:
                    thaws.append(thaw)
                    continue
                seconds = earlier.last_at - later.began_at
                found.append(
                    f"{task}: run {later.run} began {seconds:.3f} s before run {earlier.run} was over"
                )
            found += _held_by_others(task, earlier, by_run, harms)
    return found, thaws


def _held_by_others(
    task: str, execution: Execution, by_run: Mapping[int, Execution], harms: Sequence[Harm]
) -> list[str]:
    found = []
    for line in execution.lines:
        if line.held_by is None:
            continue
        holder = by_run.get(line.held_by)
        # Either may have been frozen: the holder, or this one before its first line.
        if not any(freeze_of(one, line.at, harms) for one in (holder, execution) if one is not None):
            found.append(f"{task}: the process of run {line.held_by} lived when run {execution.run} began")
    return found


def freeze_of(execution: Execution, moment: float, harms: Iterable[Harm]) -> Harm | None:
    """The fault that had frozen this very run before `moment`."""
    for harm in harms:
        if execution.run in harm.facts.get("frozen_runs", ()) and harm.facts["frozen_at"] <= moment:
            return harm
    return None


def _thaw(task: str, frozen: Execution, other: Execution, harms: Sequence[Harm]) -> Thaw | None:
    harm = freeze_of(frozen, other.began_at, harms)
    if harm is None:
        return None
    thawed_at: float = harm.facts["thawed_at"]
    meanwhile = [line for line in frozen.lines if line.at >= other.began_at]
    if any(line.at < thawed_at or line.event == "guarded" for line in meanwhile):
        return None
    shared_seconds = min(frozen.last_at, other.last_at) - max(thawed_at, other.began_at)
    return Thaw(task, frozen.run, other.run, 1000 * max(0.0, shared_seconds))


def lives_after_a_thaw(lines: Iterable[Line], harms: Iterable[Harm]) -> dict[str, list[float]]:
    """How long each job executed between its thaw and its death, in milliseconds, by the kind of thaw."""
    lines = list(lines)
    lives: dict[str, list[float]] = defaultdict(list)
    for harm in harms:
        last: dict[int, float] = {}
        for line in _thawed(lines, harm):
            last[line.run] = max(last.get(line.run, 0.0), line.at)
        lives[harm.variant] += [1000 * (at - harm.facts["thawed_at"]) for at in last.values()]
    return {variant: found for variant, found in lives.items() if found}


def after_a_thaw(lines: Iterable[Line], harms: Iterable[Harm], event: str) -> list[Line]:
    """Lines of one kind that jobs wrote when they had been thawed: their lease had passed by then."""
    lines = list(lines)
    return [line for harm in harms for line in _thawed(lines, harm) if line.event == event]


def _thawed(lines: Iterable[Line], harm: Harm) -> list[Line]:
    runs = frozenset(harm.facts.get("frozen_runs", ()))
    return [line for line in lines if line.run in runs and line.at >= harm.facts["thawed_at"]]
