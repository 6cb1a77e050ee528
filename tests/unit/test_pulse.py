"""An outage is two lines of the log, however many parts fail and however often."""

import pytest
from structlog.testing import capture_logs

from server.postgres import pulse as module
from server.postgres.pulse import Pulse, pulse_of

BEGINS = "the database does not answer; trying until it does"
ENDS = "the database answers again"


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test moves by hand."""
    now = [1000.0]
    monkeypatch.setattr(module, "monotonic", lambda: now[0])

    def go_on(seconds: float) -> None:
        now[0] += seconds

    return go_on


@pytest.fixture
def told():
    """What was told since the test began, without what is there for the curious alone."""
    with capture_logs() as logs:
        yield lambda: [line for line in logs if line["log_level"] != "debug"]


def test_an_outage_begins_with_the_first_failure_and_ends_with_the_last_answer(clock, told):
    pulse = Pulse()
    pulse.answered("money")
    for _ in range(20):
        pulse.failed("heartbeat", OSError("gone\nwith details"))
        pulse.failed("money", OSError("gone, too"))
        clock(0.5)
    assert pulse.outage_seconds == 10
    pulse.answered("money")
    pulse.answered("money")
    assert [line["event"] for line in told()] == [BEGINS]
    clock(module.STEADY_SECONDS)
    pulse.answered("heartbeat")
    begin, end = told()
    assert (begin["event"], begin["part"], begin["error"]) == (BEGINS, "heartbeat", "gone")
    assert (end["event"], end["seconds"]) == (ENDS, 10.0)
    assert pulse.outage_seconds == 0


def test_a_part_that_asks_no_more_does_not_keep_an_outage_from_ending(clock, told):
    pulse = Pulse()
    pulse.failed("money", OSError("gone"))
    pulse.failed("heartbeat", OSError("gone"))
    clock(2)
    pulse.answered("heartbeat")
    assert [line["event"] for line in told()] == [BEGINS]
    clock(module.SILENT_SECONDS)
    pulse.answered("heartbeat")
    end = told()[-1]
    assert (end["event"], end["seconds"]) == (ENDS, 2.0), (
        "from the first failure to the first answer after the last"
    )


def test_a_server_that_comes_and_goes_is_one_outage(clock, told):
    pulse = Pulse()
    for _ in range(50):
        pulse.failed("listener", OSError("gone"))
        clock(0.2)
        pulse.answered("listener")
        clock(0.4)
        pulse.answered("heartbeat")
    assert [line["event"] for line in told()] == [BEGINS]
    clock(1)
    pulse.answered("heartbeat")
    assert [line["event"] for line in told()] == [BEGINS, ENDS]


def test_the_next_outage_is_told_again(clock, told):
    pulse = Pulse()
    for _ in range(3):
        pulse.failed("reads", OSError("gone"))
        clock(1)
        pulse.answered("reads")
        clock(module.STEADY_SECONDS)
        pulse.answered("reads")
    assert [line["event"] for line in told()] == [BEGINS, ENDS] * 3


def test_answers_while_all_is_well_say_nothing_and_tell_when_the_last_one_came(clock, told):
    pulse = Pulse()
    pulse.answered("reads")
    clock(3)
    pulse.answered("heartbeat")
    assert told() == []
    assert pulse.answered_at == 1003


def test_all_connections_to_one_database_share_a_pulse():
    assert pulse_of("postgresql:///one") is pulse_of("postgresql:///one")
    assert pulse_of("postgresql:///one") is not pulse_of("postgresql:///other")
