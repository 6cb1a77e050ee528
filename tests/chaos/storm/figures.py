"""How fast: takeovers, stops and news, measured on what a storm left behind.

A figure that another fault disturbed is left out and counted, since it tells of two
things at once. Pure: no clock, no I/O.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from storm.evidence import Evidence, Harm, Run
from storm.history import by_task, lateness

NEWS_SECONDS_MAX = 30.0  # who has not heard of a change by then never did
CLOCK_SECONDS_OFF = 0.1  # between the two clocks, which were compared only once
DATABASES = frozenset({"database_away", "postgres_restarted"})


@dataclass
class Samples:
    """Seconds, and how many were left out for which reason."""

    seconds: list[float] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)

    def leave_out(self, reason: str) -> None:
        self.left_out[reason] = self.left_out.get(reason, 0) + 1

    def percentile(self, share: float) -> float | None:
        """The smallest sample that `share` of all don't exceed; None without samples."""
        if not self.seconds:
            return None
        return sorted(self.seconds)[max(0, math.ceil(share * len(self.seconds)) - 1)]


def restarts_after_a_kill(evidence: Evidence) -> Samples:
    """From the SIGKILL of a node to the first line that each of its runs' successors wrote."""
    samples = Samples()
    runs = {run.id: run for run in evidence.runs}
    successors = {run.predecessor: run for run in evidence.runs if run.predecessor is not None}
    first_at: dict[int, float] = {}
    for line in evidence.lines:
        first_at.setdefault(line.run, line.at)
    for harm in evidence.harms:
        if harm.kind != "node_killed":
            continue
        for run in _taken_with(harm, evidence.runs):
            successor = successors.get(run.id)
            if run.status != "lost" or losses_in_a_row(run, runs) > 1:
                samples.leave_out("lost more than once in a row, so it waits on purpose")
            elif successor is None or successor.id not in first_at:
                samples.leave_out("its successor was ended as well before it began")
            elif _others(harm, evidence.harms, first_at[successor.id]):
                samples.leave_out("another fault at the same time")
            else:
                samples.seconds.append(first_at[successor.id] - harm.facts["killed_at"])
    return samples


def _taken_with(harm: Harm, runs: Iterable[Run]) -> Iterator[Run]:
    """The runs that were taken from the killed incarnation."""
    for run in runs:
        if run.incarnation == harm.facts["incarnation"] and "died while it ran" in (run.error or ""):
            yield run


def losses_in_a_row(run: Run, runs: Mapping[int, Run]) -> int:
    """How often this task had been lost, this time included, without an ending of its own in between."""
    losses, seen = 0, run
    while seen.status in {"lost", "interrupted"}:
        losses += seen.status == "lost"
        if seen.predecessor is None or seen.predecessor not in runs:
            break
        seen = runs[seen.predecessor]
    return losses


def _others(harm: Harm, harms: Iterable[Harm], until: float) -> bool:
    """Whether anything else was broken between the beginning of a fault and `until`."""
    return any(
        other is not harm and other.began_at <= until and other.ended_at >= harm.began_at for other in harms
    )


def margins_of_partitions(evidence: Evidence) -> Samples:
    """How long before the end of its lease a node that was cut off had ended its last run."""
    samples = Samples()
    for harm in evidence.harms:
        if harm.kind != "partition":
            continue
        last = [
            line.at
            for line in evidence.lines
            if line.node == harm.node and harm.began_at <= line.at <= harm.facts["lease_ended_at"]
        ]
        if last:
            samples.seconds.append(harm.facts["lease_ended_at"] - max(last))
        else:
            samples.leave_out("it held no run")
    return samples


def rehashes_after_a_stop(evidence: Evidence) -> Samples:
    """From the SIGTERM to a node until the last of the others knows that it is going."""
    samples = Samples()
    known = _versions(evidence)
    for harm in evidence.harms:
        for stop in harm.facts.get("stops", ()):
            asked_at = stop["asked_at"] + evidence.seconds_ahead
            told = [e for e in evidence.node_events if e.node == stop["node"] and e.event == "draining"]
            version = next((event.id for event in told if event.at >= asked_at - CLOCK_SECONDS_OFF), None)
            heard = [
                _heard_at(known.get(name, ()), version)
                for name in _names(evidence)
                if name != stop["node"] and version is not None
            ]
            if not heard or None in heard:
                samples.leave_out("somebody was away")
            else:
                samples.seconds.append(max(at for at in heard if at is not None) - asked_at)
    return samples


def news_of_members(evidence: Evidence) -> Samples:
    """From each change of the membership until each living, connected node knows it."""
    samples = Samples()
    known = _versions(evidence)
    for event in evidence.node_events:
        at = event.at - evidence.seconds_ahead
        if not evidence.opened_at <= at <= evidence.closed_at:
            continue
        for name in _names(evidence):
            heard_at = _heard_at(known.get(name, ()), event.id)
            seconds = NEWS_SECONDS_MAX if heard_at is None else heard_at - event.at
            if _is_away(name, at, at + min(seconds, 1.0), evidence.harms):
                samples.leave_out("the node was broken itself, or the database")
            else:
                samples.seconds.append(max(0.0, seconds))
    return samples


def _versions(evidence: Evidence) -> dict[str, list[tuple[float, int]]]:
    found: dict[str, list[tuple[float, int]]] = {}
    for sighting in sorted(evidence.sightings, key=lambda sighting: sighting.at):
        found.setdefault(sighting.node, []).append((sighting.at, sighting.version))
    return found


def _heard_at(sightings: Sequence[tuple[float, int]], version: int | None) -> float | None:
    return next((at for at, seen in sightings if version is not None and seen >= version), None)


def _is_away(node: str, since: float, until: float, harms: Iterable[Harm]) -> bool:
    for harm in harms:
        spans = [(harm.began_at, harm.ended_at)] if harm.node == node or harm.kind in DATABASES else []
        spans += [
            (stop["asked_at"], stop["back_at"])
            for stop in harm.facts.get("stops", ())
            if stop["node"] == node
        ]
        if any(began <= until and ended >= since for began, ended in spans):
            return True
    return False


def lateness_of_all(evidence: Evidence) -> Samples:
    """Of every run, how long it waited after it was due and free to start, whatever was broken then."""
    return Samples([seconds for runs in by_task(evidence.runs).values() for seconds in lateness(runs)])


def _names(evidence: Evidence) -> list[str]:
    return [f"node-{number}" for number in range(1, evidence.nodes + 1)]
