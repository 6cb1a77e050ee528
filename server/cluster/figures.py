"""What a node's metrics tell of its membership; outlives each of its tenures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from server.distribution import Distribution

if TYPE_CHECKING:
    from server.cluster.membership import Member


@dataclass
class ClusterFigures:
    """Kept by the membership.

    heartbeat_seconds: from the sending of a heartbeat to its answer. changes: how often
    the members were seen to change, by `joined`, `draining` and `gone`. soft_stops: how
    often this node stopped its runs by itself since no renewal came. refusals: how often
    its lease was found to be over. guardians_lost: guardians that died or did not answer.
    clock_steps: how often the database's clock was seen to step.
    """

    heartbeat_seconds: Distribution = field(default_factory=Distribution)
    heartbeats_failed: int = 0
    changes: Counter[str] = field(default_factory=Counter)
    joins: int = 0
    soft_stops: int = 0
    refusals: int = 0
    guardians_lost: int = 0
    clock_steps: int = 0


def changes(before: Sequence[Member], after: Sequence[Member]) -> list[str]:
    """What happened between two readings: `joined`, `draining` or `gone` for each node it happened to.

    Pure. A name under another incarnation is one that has gone and one that has joined.
    """
    old = {(member.name, member.incarnation): member for member in before}
    new = {(member.name, member.incarnation): member for member in after}
    stayed = old.keys() & new.keys()
    began_to_drain = [key for key in stayed if old[key].state == "live" and new[key].state != "live"]
    return (
        ["joined"] * len(new.keys() - old.keys())
        + ["gone"] * len(old.keys() - new.keys())
        + ["draining"] * len(began_to_drain)
    )
