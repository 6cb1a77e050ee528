"""The sequence of faults: seeded, complete, and such that it can be carried out."""

from itertools import islice

import pytest
from storm import faults
from storm.plan import ALL, LONG, WEIGHTS, Terms, steps

TERMS = Terms(nodes=6, ttl_seconds=5.0, weights=WEIGHTS)
ROUND = sum(WEIGHTS.values())


def first(count: int, seed: int = 1, terms: Terms = TERMS) -> list:
    return list(islice(steps(seed, terms), count))


def test_the_same_seed_gives_the_same_sequence():
    assert first(200, seed=7) == first(200, seed=7)


def test_another_seed_gives_another_sequence():
    assert first(20, seed=7) != first(20, seed=8)


@pytest.mark.parametrize("seed", range(20))
def test_each_round_holds_each_kind_as_often_as_its_weight(seed):
    for start in range(0, 3 * ROUND, ROUND):
        kinds = [step.faults[0].kind for step in first(start + ROUND, seed)[start:]]
        assert {kind: kinds.count(kind) for kind in kinds} == dict(WEIGHTS)


@pytest.mark.parametrize("seed", range(20))
def test_two_faults_at_one_moment_hit_two_nodes_and_the_first_of_them_lasts(seed):
    pairs = [step.faults for step in first(200, seed) if len(step.faults) == 2]
    assert pairs
    for lasting, other in pairs:
        assert lasting.kind in LONG
        assert ALL not in {lasting.node, other.node}
        assert lasting.node != other.node


@pytest.mark.parametrize("kind", ["node_frozen", "everything_frozen", "partition", "loop_blocked"])
def test_what_must_outlast_the_lease_does(kind):
    held = [fault.hold_seconds for step in first(200) for fault in step.faults if fault.kind == kind]
    assert held
    assert min(held) > TERMS.ttl_seconds + 0.99


def test_a_kind_that_is_impossible_here_is_in_no_sequence():
    terms = Terms(6, 5.0, {kind: 1 for kind in WEIGHTS if kind != "partition"})
    assert "partition" not in {fault.kind for step in first(200, terms=terms) for fault in step.faults}


def test_every_kind_can_be_carried_out():
    assert WEIGHTS.keys() | {"database_away"} == faults.KINDS.keys()
