"""Deadlines of runs: who shortens them, and that nobody extends them."""

import pytest

from server.cluster import deadlines
from server.cluster.deadlines import GRACE_SECONDS, Deadlines
from server.cluster.guardianship import GuardianGoneError
from server.cluster.heartbeat import Beat

TIMEOUT_SECONDS = 60


class Guardian:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.until: dict[int, float] = {}
        self.why: dict[int, str] = {}
        self.is_gone = False

    def limit(self, run_id: int, until: float, why: str, *, in_loop: bool) -> None:
        if self.is_gone:
            raise GuardianGoneError("killed")
        self.until[run_id], self.why[run_id] = until, why

    def unlimit(self, run_id: int) -> None:
        if self.is_gone:
            raise GuardianGoneError("killed")
        del self.until[run_id]


@pytest.fixture
def clock(monkeypatch):
    now = [1_000.0]
    monkeypatch.setattr(deadlines, "boot_time", lambda: now[0])
    return now


@pytest.fixture
def told():
    return []


@pytest.fixture
def guardians():
    return [Guardian()]


@pytest.fixture
def runs(clock, guardians, told):
    return Deadlines(lambda: guardians[-1], lambda: told.append("gone"))


def beat(clock, runs: set[int], cancels: set[int] = frozenset(), late: float = 0.0) -> Beat:
    return Beat(clock[0] - late, 1, frozenset(runs), frozenset(cancels))


def test_a_run_may_go_on_for_its_timeout_and_a_grace(runs, guardians):
    assert runs.begin(1, TIMEOUT_SECONDS)
    assert guardians[-1].until == {1: 1_000 + TIMEOUT_SECONDS + GRACE_SECONDS}


def test_who_is_asked_to_end_has_a_grace_and_asking_again_does_not_extend_it(runs, guardians, clock):
    runs.begin(1, TIMEOUT_SECONDS)
    clock[0] += 10
    runs.hurry(1, "interrupted")
    clock[0] += 0.5
    runs.hurry(1, "interrupted")
    runs.hurry_all("lost")
    assert guardians[-1].until == {1: 1_010 + GRACE_SECONDS}
    assert guardians[-1].why == {1: "interrupted"}, "the first reason counts"


def test_an_ended_run_is_asked_nothing_any_more(runs, guardians, clock):
    runs.begin(1, TIMEOUT_SECONDS)
    runs.end(1)
    runs.hurry(1, "interrupted")
    runs.heard(beat(clock, set(), {1}))
    assert guardians[-1].until == {}


def test_a_cancel_that_only_the_heartbeat_hears_is_enforced(runs, guardians, clock):
    runs.begin(1, TIMEOUT_SECONDS)
    runs.begin(2, TIMEOUT_SECONDS)
    clock[0] += 5
    runs.heard(beat(clock, {1, 2}, {2}))
    clock[0] += 1
    runs.heard(beat(clock, {1, 2}, {2}))
    assert guardians[-1].until[2] == 1_005 + GRACE_SECONDS
    assert guardians[-1].why == {1: "timed_out", 2: "cancelled"}
    assert guardians[-1].until[1] == 1_000 + TIMEOUT_SECONDS + GRACE_SECONDS


def test_a_run_that_was_taken_away_is_ended_but_not_by_a_beat_from_before_its_start(runs, guardians, clock):
    runs.begin(1, TIMEOUT_SECONDS)
    clock[0] += 5
    runs.heard(beat(clock, set(), late=6))
    assert guardians[-1].until[1] == 1_000 + TIMEOUT_SECONDS + GRACE_SECONDS
    runs.heard(beat(clock, set()))
    assert guardians[-1].until[1] == 1_005 + GRACE_SECONDS


def test_at_the_soft_stop_processes_have_less_time_and_runs_in_the_loop_go_with_the_lease(
    runs, guardians, clock
):
    runs.begin(1, TIMEOUT_SECONDS, in_loop=True)
    runs.begin(2, TIMEOUT_SECONDS)
    runs.hurry_processes("interrupted", 0.5)
    runs.hurry(2, "interrupted")
    assert guardians[-1].until == {1: 1_000 + TIMEOUT_SECONDS + GRACE_SECONDS, 2: 1_000.5}


def test_another_guardian_is_told_of_every_run_that_lives_on(runs, guardians, clock):
    runs.begin(1, TIMEOUT_SECONDS, in_loop=True)
    runs.begin(2, TIMEOUT_SECONDS, in_loop=True)
    runs.begin(3, TIMEOUT_SECONDS)
    runs.hurry(2, "interrupted")
    before = dict(guardians[-1].until)
    del before[3]
    guardians.append(Guardian())
    runs.tell_again()
    assert guardians[-1].until == before, "processes have died with the one before"


def test_without_a_guardian_no_run_begins_and_the_others_can_still_end(runs, guardians, told):
    runs.begin(1, TIMEOUT_SECONDS)
    guardians[-1].is_gone = True
    assert not runs.begin(2, TIMEOUT_SECONDS)
    runs.hurry(1, "interrupted")
    runs.end(1)
    assert told == ["gone"] * 3
    guardians.append(Guardian())
    runs.tell_again()
    assert guardians[-1].until == {}
