"""What is to be reached, and whether it was: the table of the report.

Invariants must hold, or the storm has failed. Targets are speeds; a machine that others
use may miss one, which is printed, and fails the storm only if asked (`--strict`).

Pure: no clock, no I/O.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from storm import figures, overlap
from storm.checker import AWAY, OVERLAP, Judgement
from storm.evidence import Evidence, Harm
from storm.figures import Samples


@dataclass(frozen=True)
class Target:
    """One line of the table. reached: None where there was nothing to measure."""

    what: str
    measured: str
    wanted: str
    reached: bool | None
    samples: int
    left_out: str = ""


def percentile_target(what: str, samples: Samples, seconds_max: float) -> Target:
    """A target for the 99th percentile, with the median beside it."""
    half, most = samples.percentile(0.5), samples.percentile(0.99)
    wanted = f"p99 at most {seconds_max:g} s"
    if half is None or most is None:
        return Target(what, "nothing to measure", wanted, None, 0, _reasons([samples]))
    measured = f"p50 {half:.2f} s, p99 {most:.2f} s, longest {max(samples.seconds):.2f} s"
    return Target(what, measured, wanted, most <= seconds_max, len(samples.seconds), _reasons([samples]))


def targets(acts: Sequence[Evidence], judgements: Sequence[Judgement], runs_wanted: int) -> list[Target]:
    """Everything to reach, over all acts."""
    proven = _together(figures.restarts_after_a_kill, [act for act in acts if act.proof_of_death])
    by_lease = [act for act in acts if not act.proof_of_death]
    ttl_seconds = max((act.ttl_seconds for act in by_lease), default=0.0)
    margins = _together(figures.margins_of_partitions, acts)
    return [
        _runs(acts, runs_wanted),
        percentile_target("SIGKILL of a node to the restart of its runs elsewhere", proven, 2.0),
        percentile_target(
            f"the same without proof of death, ttl {ttl_seconds:g} s",
            _together(figures.restarts_after_a_kill, by_lease),
            ttl_seconds + 1.0,
        ),
        Target(
            "a node that is cut off ends its runs before its lease ends",
            f"{min(margins.seconds):.2f} s before, at the least" if margins.seconds else "nothing to measure",
            "always",
            min(margins.seconds) > 0 if margins.seconds else None,
            len(margins.seconds),
            _reasons([margins]),
        ),
        percentile_target(
            "clean stop to the rehash on the last node", _together(figures.rehashes_after_a_stop, acts), 1.0
        ),
        percentile_target(
            "a change of membership known to each node", _together(figures.news_of_members, acts), 1.0
        ),
        _outages(acts, judgements),
    ]


def _runs(acts: Iterable[Evidence], wanted: int) -> Target:
    begun = sum(len({line.run for line in act.lines}) for act in acts)
    return Target("runs that the witness saw", str(begun), f"at least {wanted}", begun >= wanted, begun)


def _outages(acts: Iterable[Evidence], judgements: Iterable[Judgement]) -> Target:
    what, wanted = "the database is away for 10 s", "costs no run and no false death"
    away = [harm.facts["away_seconds"] for act in acts for harm in act.harms if harm.kind == "database_away"]
    if not away:
        return Target(what, "nothing to measure", wanted, None, 0)
    costs = [cost for judgement in judgements for cost in judgement.findings[AWAY]]
    measured = f"away for {min(away):.1f} s, cost {len(costs) or 'nothing'}"
    return Target(what, measured, wanted, not costs, len(away))


def _together(measure: Callable[[Evidence], Samples], acts: Iterable[Evidence]) -> Samples:
    found = Samples()
    for act in acts:
        one = measure(act)
        found.seconds += one.seconds
        for reason, count in one.left_out.items():
            found.left_out[reason] = found.left_out.get(reason, 0) + count
    return found


def _reasons(samples: Iterable[Samples]) -> str:
    left_out: Counter[str] = Counter()
    for one in samples:
        left_out.update(one.left_out)
    return "; ".join(f"{count} left out: {reason}" for reason, count in left_out.items())


def summary(acts: Sequence[Evidence], judgements: Sequence[Judgement]) -> dict[str, object]:
    """The counts that stand above the table."""
    thaws = [thaw for judgement in judgements for thaw in judgement.thaws]
    lives: dict[str, list[float]] = {}
    for act in acts:
        for variant, found in overlap.lives_after_a_thaw(act.lines, act.harms).items():
            lives.setdefault(variant, []).extend(found)
    return {
        "runs by status": dict(Counter(run.status for act in acts for run in act.runs).most_common()),
        "overlaps": sum(len(judgement.findings[OVERLAP]) for judgement in judgements),
        "jobs that executed after a thaw": {variant: len(found) for variant, found in lives.items()},
        "longest life after a thaw, ms": {variant: round(max(found)) for variant, found in lives.items()},
        "guarded writes after a thaw": _after_a_thaw(acts, "guarded"),
        "guarded writes that were tried after a thaw and refused": _after_a_thaw(acts, "refused"),
        "jobs beside a successor after a thaw": len(thaws),
        "longest time beside a successor, ms": round(max((thaw.milliseconds for thaw in thaws), default=0.0)),
        "guarded writes": sum(len(act.writes) for act in acts),
        "ticks skipped": sum(len(act.skips) for act in acts),
        "longest lateness, s": round(
            max((s for act in acts for s in figures.lateness_of_all(act).seconds), default=0.0), 1
        ),
        "faults by kind": dict(sorted(Counter(_kind(harm) for act in acts for harm in act.harms).items())),
    }


def _after_a_thaw(acts: Iterable[Evidence], event: str) -> int:
    return sum(len(overlap.after_a_thaw(act.lines, act.harms, event)) for act in acts)


def _kind(harm: Harm) -> str:
    kind, variant = harm.kind, harm.variant
    return f"{kind.replace('_', ' ')}, {variant}" if variant else kind.replace("_", " ")
