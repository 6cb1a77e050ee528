"""S4 and S6, and that no node was taken for dead, or ended, without a reason.

Pure: no clock, no I/O.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

from storm.evidence import Census, Evidence, Harm, Run

# What may end a node's lease or its process, and for how long after it that may show.
DEADLY = frozenset({"node_killed", "node_frozen", "everything_frozen", "partition", "rolling_restart"})
DEATH_SECONDS = 5.0  # a heartbeat, a watch that begins anew, a busy machine


def uneven(census: Census | None, nodes: int) -> list[str]:
    """S4: in calm, owned tasks and the last start of each task differ by at most one between two nodes."""
    if census is None:
        return ["the cluster did not come to rest with an even spread"]
    names = [f"node-{number}" for number in range(1, nodes + 1)]
    found = []
    for what, holders in (("starts", census.starts), *census.owners.items()):
        counts = Counter(holders.values())
        shares = [counts[name] for name in names]
        if sum(shares) != len(holders) or max(shares) - min(shares) > 1:
            found.append(f"uneven by {what}: {dict(sorted(counts.items()))}")
    return found


def disagreement(census: Census | None) -> list[str]:
    """S6: whoever is asked names the same owners, and they are those who start."""
    if census is None or not census.owners:
        return ["nobody could be asked who owns what"]
    (first, owners), *others = census.owners.items()
    found = [f"{first} and {name} name other owners" for name, named in others if named != owners]
    return found + [
        f"{task}: started by {node}, owned by {owners.get(task)}"
        for task, node in census.starts.items()
        if owners.get(task) != node
    ]


def false_deaths(evidence: Evidence) -> list[str]:
    """Nodes that were declared dead, or ended, although nothing had been done to them that is deadly."""
    found = [
        f"{event.node} was declared dead at {event.at:.3f}"
        for event in evidence.node_events
        if event.event == "dead" and not _explained(evidence, event.node, event.at - evidence.seconds_ahead)
    ]
    return found + [
        f"{ending.node} ended by itself with {ending.code}"
        for ending in evidence.endings
        if not _explained(evidence, ending.node, ending.at)
    ]


def _explained(evidence: Evidence, node: str, moment: float) -> bool:
    return any(
        _is_deadly(harm, evidence)
        and harm.node in {node, None}
        and harm.began_at - 0.5 <= moment <= harm.ended_at + evidence.ttl_seconds + DEATH_SECONDS
        for harm in evidence.harms
    )


def _is_deadly(harm: Harm, evidence: Evidence) -> bool:
    if harm.kind == "postgres_restarted":
        # On a machine that is too busy to start it before the soft stop, the leases do pass.
        return (
            harm.ended_at - harm.began_at > evidence.ttl_seconds - evidence.margin_seconds - DEATH_SECONDS / 2
        )
    return harm.kind in DEADLY


def costs_of_an_outage(evidence: Evidence) -> list[str]:
    """A database that is away for a while costs no run and no node."""
    return [
        cost for harm in evidence.harms if harm.kind == "database_away" for cost in _costs(harm, evidence)
    ]


def _costs(harm: Harm, evidence: Evidence) -> Iterator[str]:
    """Until a little after the return, unless something deadly has been done to that node by then."""
    ahead = evidence.seconds_ahead
    began, until = harm.began_at + ahead, harm.ended_at + DEATH_SECONDS + ahead
    for run in _ended_between(evidence.runs, began, until):
        if run.status in {"lost", "interrupted"} and not _explained(
            evidence, run.node, run.finished_at - ahead
        ):
            yield f"{run.task}: run {run.id} was {run.status} while the database was away"
    for event in evidence.node_events:
        if began <= event.at <= until and not _explained(evidence, event.node, event.at - ahead):
            yield f"{event.node}: {event.event} while the database was away"


def _ended_between(runs: Iterable[Run], began: float, until: float) -> Iterator[Run]:
    return (run for run in runs if run.finished_at is not None and began <= run.finished_at <= until)


def costs_of_a_blocked_loop(evidence: Evidence) -> list[str]:
    """A blocked event loop costs its node neither the lease nor the runs."""
    found = []
    for harm in evidence.harms:
        if harm.kind != "loop_blocked" or "failed" in harm.facts:
            continue
        if not harm.facts["lease_kept"]:
            found.append(f"{harm.node} lost its lease while its loop was blocked")
        began, until = harm.began_at + evidence.seconds_ahead, harm.ended_at + evidence.seconds_ahead
        found += [
            f"{run.task}: run {run.id} was {run.status} while the loop of {run.node} was blocked"
            for run in _ended_between(evidence.runs, began, until)
            if run.incarnation == harm.facts["incarnation"] and run.status in {"lost", "interrupted"}
        ]
    return found


def partitions_outlived(evidence: Evidence) -> list[str]:
    """A node that is cut off has ended its runs before its lease ends, always."""
    found = []
    for harm in evidence.harms:
        if harm.kind == "partition":
            lines = [line for line in evidence.lines if line.node == harm.node]
            found += [
                f"{line.task}: run {line.run} executed on {harm.node} {line.at - harm.facts['lease_ended_at']:.3f} s "
                "after its lease had ended"
                for line in lines
                if harm.facts["lease_ended_at"] <= line.at <= harm.facts["healed_at"]
            ]
            if harm.facts["jobs_at_the_end"]:
                found.append(f"{harm.node} had {harm.facts['jobs_at_the_end']} jobs when its lease ended")
    return found
