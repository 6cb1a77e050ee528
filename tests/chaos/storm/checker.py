"""The whole judgement of one act: which invariant is broken, and how.

Pure: no clock, no I/O.
"""

from dataclasses import dataclass

from storm import history, membership, overlap
from storm.evidence import Evidence

CLOCK_SECONDS_OFF = 0.2
OVERLAP = "S1 no two runs of a task overlap"
AWAY = "a database that is away costs nothing"


@dataclass(frozen=True)
class Judgement:
    """findings: invariant -> what is wrong, in sentences; all are there, most of them empty."""

    findings: dict[str, list[str]]
    thaws: list[overlap.Thaw]

    @property
    def is_clean(self) -> bool:
        return not any(self.findings.values())


def judge(evidence: Evidence) -> Judgement:
    """Everything that must hold, whatever was done."""
    lines, runs = evidence.lines, evidence.runs
    succeeded = {run.id for run in runs if run.status == "succeeded"}
    overlaps, thaws = overlap.overlaps(lines, evidence.harms, succeeded)
    findings = {
        OVERLAP: overlaps,
        "S2 no due task is forgotten": history.forgotten(evidence),
        "S3 every start has an ending": history.open_endings(lines, runs),
        "S4 the spread is even again": membership.uneven(evidence.census, evidence.nodes),
        "S5 only the holder's result counts": history.wrongly_accepted(lines, runs),
        "S6 all nodes name the same owners": membership.disagreement(evidence.census),
        "guarded writes end with the run": history.late_writes(evidence.writes, runs, lines)
        + _thawed(evidence),
        "no node dies without a reason": membership.false_deaths(evidence),
        "a node that is cut off stops before its lease ends": membership.partitions_outlived(evidence),
        "a blocked loop costs nothing": membership.costs_of_a_blocked_loop(evidence),
        AWAY: membership.costs_of_an_outage(evidence),
        "the storm was one": _shortcomings(evidence),
    }
    return Judgement(findings, thaws)


def _thawed(evidence: Evidence) -> list[str]:
    return [
        f"{line.task}: run {line.run} wrote under guard() after it had been frozen beyond its lease"
        for line in overlap.after_a_thaw(evidence.lines, evidence.harms, "guarded")
    ]


def _shortcomings(evidence: Evidence) -> list[str]:
    """What would make the other findings worthless, however empty they are."""
    found = []
    if not evidence.lines:
        found.append("the witness saw nothing")
    if not any(line.event == "guarded" for line in evidence.lines):
        found.append("nobody wrote anything guarded")
    if abs(evidence.clock_steps_seconds) > CLOCK_SECONDS_OFF:
        found.append(f"the wall clock stepped by {evidence.clock_steps_seconds:.3f} s meanwhile")
    found += [
        f"{harm.kind} of {harm.node} did not take: {harm.facts['failed']}"
        for harm in evidence.harms
        if "failed" in harm.facts
    ]
    return found
