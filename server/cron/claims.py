"""When this node may try to start a task that is due.

The owner tries at once. Everybody else waits, each for a time of its own, so
that a task starts even if its owner does not, and so that not all try together:
liveness never hangs on the hash, and the hash is what spreads the work.

Pure: no clock, no I/O. Moments are seconds on the caller's own clock.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from server.cluster.ring import preference

OVERDUE_SECONDS = 3.0  # how long the owner has before anybody else tries
PLACE_SECONDS = 0.5  # between two others, in the task's own order of the nodes


@dataclass(frozen=True)
class Standing:
    """What this node knows about the cluster.

    owners: task -> node. knowing: task -> the live nodes that know it.
    quiet_since: when the membership last changed. settled_at: until when each node
    may wait for others that start with it, before it starts runs.
    """

    me: str
    owners: Mapping[str, str]
    knowing: Mapping[str, Sequence[str]]
    quiet_since: float
    settled_at: Mapping[str, float]


def may_start_at(
    task: str, due: float, standing: Standing, *, out_of_turn: bool = False, until: float = math.inf
) -> float | None:
    """From when on this node may try to start `task`, due at `due`.

    None for "not as things are". A moment after `until` nobody needs to know: it may be None
    as well, since the order of the others costs a digest of each.
    """
    owner = standing.owners.get(task)
    if owner == standing.me:
        return due
    # After a change of membership the new owner gets the same time to begin, and so does
    # one that has just settled.
    free = standing.settled_at.get(owner, due) if owner is not None else due
    overdue = max(due, standing.quiet_since, free) + OVERDUE_SECONDS
    if overdue >= until and not out_of_turn:
        return None
    others = [node for node in standing.knowing.get(task, ()) if node != owner]
    if standing.me not in others:
        return None
    if out_of_turn and standing.me == _substitute(task, due, others, standing):
        return due
    return overdue + PLACE_SECONDS * preference(task, others).index(standing.me)


def _substitute(task: str, due: float, others: Sequence[str], standing: Standing) -> str | None:
    """Who starts the task while its owner settles: the first of those that don't."""
    owner = standing.owners.get(task)
    if owner is None or standing.settled_at.get(owner, due) <= due:
        return None
    settled = [node for node in others if standing.settled_at.get(node, due) <= due]
    return preference(task, settled)[0] if settled else None
