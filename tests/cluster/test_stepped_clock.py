"""The database's clock is set while nodes run tasks."""

import pytest
from fleet import overlaps, wait_until
from stepped_clock import SteppedClock

from server.cluster.lease import boot_time

TTL_SECONDS = 6


@pytest.fixture
def clock(server, database) -> SteppedClock:
    return SteppedClock(server, database.name)


@pytest.fixture
def working(workers, running, clock):
    """Two nodes that run four tasks for a minute; and what runs where."""
    fleet = workers(4, seconds=90)
    fleet.start(1, 2)
    fleet.wait_ready()
    return fleet, wait_until(lambda: len(found := running()) == 4 and found, 30, "four runs")


def work_goes_on(fleet, since: float) -> bool:
    return bool(fleet.testimony()) and fleet.testimony()[-1]["at"] > since + TTL_SECONDS + 2


@pytest.mark.parametrize("seconds", [-3600, -TTL_SECONDS / 2, 2])
def test_a_step_back_or_one_that_leaves_the_leases_something_moves_nothing(working, running, clock, seconds):
    fleet, before = working
    clock.step(seconds)
    began = boot_time()
    wait_until(lambda: work_goes_on(fleet, began), 30, "work for longer than a lease")
    assert running() == before
    assert fleet.metrics(1)["ringfence_clock_steps_total",] >= 1
    assert overlaps(fleet.testimony()) == []


def test_a_step_past_all_leases_ends_every_run_before_it_starts_again(working, running, clock):
    fleet, before = working
    clock.step(3600)
    stepped_at = boot_time()

    def all_anew() -> bool:
        now = running()
        return len(now) == 4 and not {run for run, _ in now.values()} & {run for run, _ in before.values()}

    wait_until(all_anew, 60, "every run anew")
    wait_until(lambda: work_goes_on(fleet, stepped_at), 30, "work going on")
    assert overlaps(fleet.testimony()) == []
    assert {fleet.get(f"/runs/{run}")["status"] for run, _ in before.values()} == {"lost"}
