"""From when on a node that has just joined starts runs."""

from pathlib import Path
from typing import Any, cast

from server.cluster.membership import Member, Membership
from server.settings import Settings

SETTINGS = Settings(home=Path(), source="")
SETTLE_SECONDS, LONGEST_SECONDS = SETTINGS.cluster.settle_seconds, SETTINGS.cluster.settle_seconds_max
JOINED_AT = 1_000.0


def settled_at(*ages: float, draining: int = 0, siblings: int = 6, quiet_seconds: float = 0.0) -> float:
    """For a node that joins among members which have been there for so long, itself the first of them.

    quiet_seconds: how long after that the last change was.
    """
    membership = Membership(SETTINGS, "", "node-1", cast(Any, None), lambda: None)
    membership.siblings = siblings
    membership.quiet_since = JOINED_AT + quiet_seconds
    membership.members = tuple(
        Member(
            f"node-{place}",
            place,
            "draining" if place > len(ages) - draining else "live",
            frozenset(),
            JOINED_AT - age,
        )
        for place, age in enumerate(ages, 1)
    )
    return membership.settled_at(JOINED_AT) - JOINED_AT


def test_who_starts_together_with_others_waits_for_the_last_of_them():
    assert settled_at(0.0, 1.0, -0.5) == LONGEST_SECONDS
    assert settled_at(*[0.0] * 6, quiet_seconds=3.0) == 3.0 + SETTLE_SECONDS


def test_who_comes_back_to_a_cluster_that_has_run_for_long_waits_for_quiet_alone():
    """In a rolling restart the next one drains, or has gone, when this one comes."""
    assert settled_at(0.0, *[300.0] * 5, draining=1) == SETTLE_SECONDS
    assert settled_at(0.0, *[300.0] * 4, quiet_seconds=1.0) == 1.0 + SETTLE_SECONDS
    assert settled_at(0.0, 300.0, draining=1, siblings=2) == SETTLE_SECONDS


def test_nobody_waits_longer_than_the_longest_however_restless_the_membership_is():
    assert settled_at(0.0, *[300.0] * 5, quiet_seconds=60.0) == LONGEST_SECONDS
