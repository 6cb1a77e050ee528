"""S1 on forged witnesses: every overlap is found, and a thaw is told from one."""

import pytest
from forged import PID, freeze, lines
from storm import overlap
from storm.evidence import Line


@pytest.mark.parametrize("end", [True, False])
def test_a_run_that_begins_before_the_last_line_of_the_one_before_overlaps(end):
    found, thaws = overlap.overlaps([*lines(1, 0, 1, 2, end=end), *lines(2, 1.999, 3, node="node-2")], [])
    assert found == ["task: run 2 began 0.001 s before run 1 was over"]
    assert thaws == []


def test_an_overlap_of_the_next_but_one_is_found_too():
    found, _ = overlap.overlaps([*lines(1, 0, 30), *lines(2, 10, 11), *lines(3, 20, 21)], [])
    assert found == [
        "task: run 2 began 20.000 s before run 1 was over",
        "task: run 3 began 10.000 s before run 1 was over",
    ]


def test_runs_of_two_tasks_at_one_moment_do_not_overlap():
    other = [Line("other", 2, "node-1", 102, line.event, line.at) for line in lines(2, 1, 3)]
    assert overlap.overlaps([*lines(1, 0, 2), *other], []) == ([], [])


def test_a_process_that_holds_the_lock_without_a_tick_overlaps():
    found, _ = overlap.overlaps([*lines(1, 0, 1, end=False), *lines(2, 5, 6, held_by=1)], [])
    assert found == ["task: the process of run 1 lived when run 2 began"]


@pytest.mark.parametrize("holder", [0, 77])
def test_a_lock_that_nobody_known_holds_is_an_overlap(holder):
    found, _ = overlap.overlaps(lines(2, 5, 6, held_by=holder), [])
    assert found == [f"task: the process of run {holder} lived when run 2 began"]


def test_a_frozen_process_that_dies_with_its_thaw_is_counted_apart_in_milliseconds():
    harm = freeze(1, frozen_at=2.5, thawed_at=10)
    told = [*lines(1, 0, 1, 2, 10.001, 10.04, end=False), *lines(2, 9, 11, node="node-2", held_by=1)]
    found, thaws = overlap.overlaps(told, [harm])
    assert found == []
    assert [(thaw.run, thaw.successor, round(thaw.milliseconds)) for thaw in thaws] == [(1, 2, 40)]
    assert [round(ms) for ms in overlap.lives_after_a_thaw(told, [harm])["all wake at once"]] == [40]


def test_a_thawed_process_beside_a_successor_that_began_after_the_thaw_counts_from_that_start():
    told = [*lines(1, 0, 10.02, 10.5, end=False), *lines(2, 10.2, 11, node="node-2", held_by=1)]
    _, thaws = overlap.overlaps(told, [freeze(1, frozen_at=1, thawed_at=10)])
    assert [round(thaw.milliseconds) for thaw in thaws] == [300]


def test_a_thawed_process_that_writes_guarded_overlaps():
    guarded = Line("task", 1, "node-1", PID + 1, "guarded", 10.1)
    told = [*lines(1, 0, 1, end=False), guarded, *lines(2, 9, 11)]
    found, thaws = overlap.overlaps(told, [freeze(1, frozen_at=2, thawed_at=10)])
    assert found
    assert thaws == []


def test_a_thawed_process_whose_result_is_accepted_overlaps():
    told = [*lines(1, 0, 1, 10.1), *lines(2, 9, 11)]
    harms = [freeze(1, frozen_at=2, thawed_at=10)]
    assert len(overlap.overlaps(told, harms)[1]) == 1
    found, thaws = overlap.overlaps(told, harms, succeeded={1})
    assert found
    assert thaws == []


def test_a_process_that_ticks_while_it_is_said_to_be_frozen_overlaps():
    found, _ = overlap.overlaps(
        [*lines(1, 0, 1, 9.5, end=False), *lines(2, 9, 11)], [freeze(1, frozen_at=2, thawed_at=10)]
    )
    assert found


def test_a_process_that_was_frozen_before_its_first_line_is_a_thaw_as_well():
    late = lines(1, 10.1, 10.15, end=False, held_by=2)
    harms = [freeze(1, frozen_at=2, thawed_at=10)]
    found, thaws = overlap.overlaps([*late, *lines(2, 9, 11, node="node-2")], harms)
    assert found == []
    assert [(thaw.run, thaw.successor, round(thaw.milliseconds)) for thaw in thaws] == [(1, 2, 150)]


def test_the_freeze_of_another_run_excuses_nothing():
    told = [*lines(1, 0, 1, 10.1, end=False), *lines(2, 9, 11, held_by=1)]
    found, thaws = overlap.overlaps(told, [freeze(7, frozen_at=2, thawed_at=10)])
    assert len(found) == 2
    assert thaws == []
