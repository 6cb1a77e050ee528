"""What a witness saw: who ran what, when, and what ran twice at once. Pure.

An execution lasts from its first sign of life to its last one. Two executions
of one task overlap if the newer began before the older had given its last sign:
the older went on, or came back, after its place had been taken. How long it
then executed is told apart: a gap between two signs longer than GAP_SECONDS is
a process that was frozen and did nothing.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

GAP_SECONDS = 1.0


@dataclass
class Execution:
    """One execution of a task, by its signs of life in order."""

    task: str
    run: str
    worker: str
    signs: list[float] = field(default_factory=list)
    blocked: bool = False
    ended: bool = False

    @property
    def start(self) -> float:
        """Its first sign."""
        return self.signs[0]

    @property
    def last(self) -> float:
        """Its last sign so far."""
        return self.signs[-1]

    def executed_seconds(self, since: float) -> float:
        """How long it executed after a moment, without the gaps in which it was frozen."""
        later = [since, *(sign for sign in self.signs if sign > since)]
        steps = [after - before for before, after in pairwise(later)]
        return sum(step for step in steps if step <= GAP_SECONDS)


@dataclass(frozen=True)
class Overlap:
    """An execution that went on after another of its task had begun, `newer` of them."""

    task: str
    worker: str
    newer: int
    seconds: float


class Witness:
    """All that was said so far."""

    def __init__(self) -> None:
        self._executions: dict[str, Execution] = {}
        self._ready: set[str] = set()

    def hear(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """Adds lines, those of one execution in their order."""
        for line in lines:
            if line["event"] == "ready":
                self._ready.add(line["worker"])
                continue
            known = self._executions.setdefault(
                line["run"], Execution(line["task"], line["run"], line["worker"])
            )
            known.signs.append(line["at"])
            known.blocked |= line["event"] == "blocked"
            known.ended |= line["event"] == "end"

    @property
    def ready(self) -> Collection[str]:
        """Workers that said that they take jobs."""
        return frozenset(self._ready)

    def executions(self) -> list[Execution]:
        """By their start."""
        return sorted(self._executions.values(), key=lambda one: (one.start, one.run))

    def running(self, now: float) -> list[Execution]:
        """Those that have not ended and gave a sign of life a moment ago."""
        return [one for one in self.executions() if not one.ended and now - one.last <= GAP_SECONDS]


def first_round(executions: Sequence[Execution], since: float) -> dict[str, str]:
    """Who ran each task first after a moment: task -> worker."""
    workers: dict[str, str] = {}
    for one in executions:
        if one.start >= since:
            workers.setdefault(one.task, one.worker)
    return workers


def shares(workers: Iterable[str], team_size: int) -> list[int]:
    """How many tasks each worker had, the most first; those that had none are zeros."""
    counts = sorted(Counter(workers).values(), reverse=True)
    return counts + [0] * (team_size - len(counts))


def seconds_until_again(
    executions: Sequence[Execution], lost: Iterable[Execution], at: float
) -> list[float | None]:
    """For each lost execution, when its task began anew; None if it has not."""
    return [
        min((one.start - at for one in executions if one.task == gone.task and one.start > at), default=None)
        for gone in lost
    ]


def overlaps(executions: Sequence[Execution], since: float) -> list[Overlap]:
    """Executions that went on beside one that began after the moment; expects them by their start."""
    found = []
    for place, older in enumerate(executions):
        newer = [
            one.start
            for one in executions[place + 1 :]
            if one.task == older.task and since <= one.start < older.last
        ]
        if newer:
            seconds = older.executed_seconds(newer[0])
            found.append(Overlap(older.task, older.worker, len(newer), seconds))
    return found
