"""What the scheduler sees of one task: what starts it next."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from server.cron.view import TaskView

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(seconds=10)
TICKING = TaskView("backup", None, False, LATER, None, None, False)


def test_a_task_without_anything_due_waits_for_its_tick():
    assert TICKING.earliest == LATER
    assert not TICKING.is_out_of_turn(NOON)


def test_what_is_due_before_the_next_tick_starts_out_of_turn():
    lost = replace(TICKING, due_at=NOON)
    assert lost.earliest == NOON
    assert lost.is_out_of_turn(NOON)
    assert lost.is_out_of_turn(NOON - timedelta(seconds=5)), "it will be, so its moment can be waited for"


def test_what_is_due_starts_out_of_turn_although_a_tick_has_passed_as_well():
    lost = replace(TICKING, next_run_at=NOON - timedelta(seconds=1), due_at=NOON)
    assert lost.is_out_of_turn(NOON)


def test_a_tick_comes_first_while_what_is_due_waits():
    backing_off = replace(TICKING, next_run_at=NOON, due_at=LATER)
    assert backing_off.earliest == NOON
    assert not backing_off.is_out_of_turn(NOON)


def test_nothing_of_a_running_task_is_out_of_turn():
    assert not replace(TICKING, due_at=NOON, running_id=1).is_out_of_turn(NOON)
