"""What failover.py tells of each contestant: findings, their tables, and what was wrong. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.report.section import Section, Table
from benchmarks.report.testimony import Overlap

KILLED, BLOCKED, FROZEN, ALL_FROZEN = "killed", "blocked", "frozen", "all frozen"
NOT_MEASURED = "not measured"
SAME = "the same"
# A process frozen together with its guardian may execute this long when it wakes.
THAW_SECONDS_MAX = 1.0


@dataclass(frozen=True)
class Entrant:
    """Who it is. lease: after how long without a sign its tasks are given away, in words."""

    letter: str
    name: str
    lease: str
    missing: str = ""


@dataclass(frozen=True)
class Ordeal:
    """One misfortune. again_seconds: for each task that ran there, when it began anew, None if it
    did not while it was watched; watched_seconds: how long that was."""

    again_seconds: Sequence[float | None] = ()
    overlaps: Sequence[Overlap] = ()
    watched_seconds: float = 0.0

    def took(self) -> str:
        """Until the last of the tasks ran again."""
        done = [seconds for seconds in self.again_seconds if seconds is not None]
        if not done:
            return f"none in {self.watched_seconds:.0f} s"
        if len(done) < len(self.again_seconds):
            return f"{len(done)} of {len(self.again_seconds)} in {self.watched_seconds:.0f} s"
        return f"{max(done):.1f} s"

    def overlapped(self) -> str:
        """How many executions began while an older one of their task was not over, and how long those
        older ones executed after that."""
        if not self.overlaps:
            return "0"
        seconds = sum(one.seconds for one in self.overlaps)
        return f"{sum(one.newer for one in self.overlaps)} ({seconds:.2f} s)"


@dataclass
class Findings:
    """What the witness saw of one contestant. shares: tasks of each worker in the first round."""

    shares: Sequence[int] = ()
    ordeals: dict[str, Ordeal] = field(default_factory=dict)

    def as_object(self) -> dict[str, Any]:
        """For the JSON."""
        return {"shares": list(self.shares), **{name: asdict(one) for name, one in self.ordeals.items()}}


def section(entrants: Sequence[Entrant], found: Mapping[str, Findings], facts: Mapping[str, str]) -> Section:
    """The tables of all; found: by letter, without those who were not measured. facts: for the JSON."""
    spread = Table(
        "Ten tasks on six workers, and how long until the tasks of a lost worker ran again",
        ("", "lease", "first round, tasks a worker", KILLED, FROZEN, ALL_FROZEN),
        [_takeover_row(one, found.get(one.letter)) for one in entrants],
    )
    twice = Table(
        "Executions that began before an older one of their task was over, and how long that went on",
        ("", KILLED, BLOCKED, FROZEN, ALL_FROZEN),
        [_overlap_row(one, found.get(one.letter)) for one in entrants],
    )
    notes = [f"({one.letter}) {one.name}: {one.missing}." for one in entrants if one.missing]
    data = {"machine": dict(facts), "contestants": {key: one.as_object() for key, one in found.items()}}
    ours = [one for one in entrants if one.name == "Ringfence" and one.letter in found]
    wrong = [fault for one in ours for fault in faults(found[one.letter])]
    return Section("failover", [spread, twice], notes=notes, wrong=wrong, data=data)


def faults(findings: Findings) -> list[str]:
    """What Ringfence promises and the witness saw otherwise."""
    wrong = []
    for name, ordeal in findings.ordeals.items():
        seconds = sum(one.seconds for one in ordeal.overlaps)
        allowed = THAW_SECONDS_MAX if name == ALL_FROZEN else 0.0
        if ordeal.overlaps and (name != ALL_FROZEN or seconds > allowed):
            tasks = ", ".join(sorted({one.task for one in ordeal.overlaps}))
            wrong.append(f"{name}: {tasks} ran twice at once, for {seconds:.2f} s")
        if name != BLOCKED and None in ordeal.again_seconds:
            wrong.append(f"{name}: a task did not run again within {ordeal.watched_seconds:.0f} s")
    if max(findings.shares) - min(findings.shares) > 1:
        wrong.append(f"the first round was shared {_digits(findings.shares)}")
    return wrong


def _takeover_row(one: Entrant, findings: Findings | None) -> list[str]:
    head = [f"({one.letter}) {one.name}", one.lease]
    if findings is None:
        return [*head, *[NOT_MEASURED] * 4]
    cells = [_cell(findings, name, Ordeal.took) for name in (KILLED, FROZEN, ALL_FROZEN)]
    return [*head, _digits(findings.shares), *cells]


def _overlap_row(one: Entrant, findings: Findings | None) -> list[str]:
    names = (KILLED, BLOCKED, FROZEN, ALL_FROZEN)
    if findings is None:
        return [f"({one.letter}) {one.name}", *[NOT_MEASURED] * len(names)]
    return [f"({one.letter}) {one.name}", *(_cell(findings, name, Ordeal.overlapped) for name in names)]


def _cell(findings: Findings, name: str, words: Any) -> str:
    ordeal = findings.ordeals.get(name)
    if ordeal is None:
        return SAME if name == ALL_FROZEN else NOT_MEASURED
    return str(words(ordeal))


def _digits(shares: Sequence[int]) -> str:
    return " ".join(map(str, shares))
