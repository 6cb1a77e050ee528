"""What failover.py makes of its witness, on testimonies that were made up."""

from dataclasses import replace
from itertools import count

import pytest

from benchmarks.failover import DOCUMENT
from benchmarks.report import document
from benchmarks.report.failover import ALL_FROZEN, BLOCKED, FROZEN, KILLED, Entrant, Findings, Ordeal, section
from benchmarks.report.failover import faults as faults_of
from benchmarks.report.testimony import (
    Overlap,
    Witness,
    first_round,
    overlaps,
    seconds_until_again,
    shares,
)

TICK = 0.5


def heard(*executions: tuple[str, str, list[float]], end: bool = True) -> Witness:
    """A witness of executions, each a task, a worker and its signs of life; the last sign is its end."""
    witness = Witness()
    for number, (task, worker, signs) in zip(count(1), executions, strict=False):
        events = ["start", *["tick"] * (len(signs) - 2), "end" if end else "tick"]
        witness.hear(
            {"task": task, "run": str(number), "worker": worker, "event": event, "at": at}
            for event, at in zip(events, signs, strict=True)
        )
    return witness


def signs(start: float, end: float) -> list[float]:
    return [start + TICK * step for step in range(int((end - start) / TICK) + 1)]


def test_executions_one_after_another_do_not_overlap():
    witness = heard(("t", "a", signs(0, 5)), ("t", "b", signs(5, 10)), ("u", "b", signs(1, 9)))
    assert overlaps(witness.executions(), since=0) == []


def test_an_execution_that_begins_before_the_end_of_another_overlaps_for_as_long_as_that_goes_on():
    witness = heard(("t", "a", signs(0, 5)), ("t", "b", signs(3, 8)))
    assert overlaps(witness.executions(), since=0) == [Overlap("t", "a", newer=1, seconds=2.0)]


def test_an_execution_that_thaws_after_its_place_was_taken_overlaps_for_what_it_then_executes():
    frozen = [*signs(0, 2), *signs(60, 62)]
    witness = heard(("t", "a", frozen), ("t", "b", signs(30, 35)))
    assert overlaps(witness.executions(), since=0) == [Overlap("t", "a", newer=1, seconds=2.0)]


def test_an_execution_that_never_thaws_overlaps_with_nobody():
    witness = heard(("t", "a", signs(0, 2)), ("t", "b", signs(30, 35)), end=False)
    assert overlaps(witness.executions(), since=0) == []


def test_everybody_who_began_beside_a_long_execution_is_counted():
    witness = heard(("t", "a", signs(0, 60)), ("t", "b", signs(30, 35)), ("t", "c", signs(50, 55)))
    assert overlaps(witness.executions(), since=0) == [Overlap("t", "a", newer=2, seconds=30.0)]


def test_what_began_before_the_misfortune_is_not_laid_to_its_charge():
    witness = heard(("t", "a", signs(0, 5)), ("t", "b", signs(3, 8)))
    assert overlaps(witness.executions(), since=4) == []


def test_a_line_that_comes_late_is_counted_to_its_execution():
    witness = heard(("t", "a", signs(0, 2)), end=False)
    witness.hear([{"task": "t", "run": "1", "worker": "a", "event": "end", "at": 2.5}])
    (execution,) = witness.executions()
    assert (execution.last, execution.ended) == (2.5, True)


def test_a_task_runs_again_at_its_first_start_after_the_loss():
    witness = heard(("t", "a", signs(0, 1)), ("t", "b", signs(7, 9)), ("t", "c", signs(20, 22)), end=False)
    lost = witness.executions()[:1]
    assert seconds_until_again(witness.executions(), lost, at=2.0) == [5.0]


def test_a_task_that_has_not_run_again_has_no_time():
    witness = heard(("t", "a", signs(0, 1)), ("u", "b", signs(7, 9)))
    lost = witness.executions()[:1]
    assert seconds_until_again(witness.executions(), lost, at=2.0) == [None]


def test_only_the_living_are_running():
    witness = heard(("t", "a", signs(0, 10)), ("u", "b", signs(0, 4)), end=False)
    assert [one.task for one in witness.running(now=10.2)] == ["t"]


def test_the_first_round_counts_each_task_once_from_the_moment_when_all_were_ready():
    witness = heard(
        ("t", "early", signs(0, 1)),
        ("t", "a", signs(5, 6)),
        ("u", "b", signs(6, 7)),
        ("t", "c", signs(9, 10)),
    )
    assert first_round(witness.executions(), since=4) == {"t": "a", "u": "b"}


def test_workers_without_a_task_have_a_share_of_none():
    assert shares(["a", "a", "b"], team_size=4) == [2, 1, 0, 0]


def test_workers_that_said_so_are_ready():
    witness = Witness()
    witness.hear([{"task": "", "run": "1", "worker": "a", "event": "ready", "at": 1.0}])
    assert witness.ready == {"a"}
    assert witness.executions() == []


@pytest.mark.parametrize(
    ("again", "words"),
    [
        ([1.0, 2.25], "2.2 s"),
        ([None, None], "none in 75 s"),
        ([None, 3.0], "1 of 2 in 75 s"),
    ],
)
def test_a_takeover_is_over_with_the_last_task(again, words):
    assert Ordeal(again, watched_seconds=75.0).took() == words


FLAWLESS = Findings([2, 2, 2, 2, 1, 1], dict.fromkeys((KILLED, BLOCKED, FROZEN, ALL_FROZEN), Ordeal([1.0])))
TWICE = Overlap("t", "node-1", newer=1, seconds=0.3)


def test_a_flawless_story_has_no_faults():
    assert faults_of(FLAWLESS) == []


@pytest.mark.parametrize("ordeal", [KILLED, BLOCKED, FROZEN])
def test_an_overlap_is_a_fault(ordeal):
    findings = replace(FLAWLESS, ordeals=FLAWLESS.ordeals | {ordeal: Ordeal([1.0], [TWICE])})
    assert faults_of(findings) == [f"{ordeal}: t ran twice at once, for 0.30 s"]


def test_a_process_that_was_frozen_with_its_guardian_may_wake_for_a_moment():
    short = replace(FLAWLESS, ordeals=FLAWLESS.ordeals | {ALL_FROZEN: Ordeal([1.0], [TWICE])})
    long = Ordeal([1.0], [replace(TWICE, seconds=1.1)])
    assert faults_of(short) == []
    assert len(faults_of(replace(FLAWLESS, ordeals=FLAWLESS.ordeals | {ALL_FROZEN: long}))) == 1


def test_a_task_that_never_ran_again_and_an_uneven_round_are_faults():
    findings = Findings([3, 2, 2, 1, 1, 1], {KILLED: Ordeal([None], watched_seconds=75)})
    assert faults_of(findings) == [
        "killed: a task did not run again within 75 s",
        "the first round was shared 3 2 2 1 1 1",
    ]


def test_faults_of_others_are_theirs_and_the_missing_have_a_row():
    entrants = [
        Entrant("a", "Ringfence", "15 s"),
        Entrant("b", "Other", "30 s"),
        Entrant("c", "Absent", "30 s", "not installed"),
    ]
    bad = Findings([10, 0, 0, 0, 0, 0], {BLOCKED: Ordeal([None], [TWICE])})
    result = section(entrants, {"a": FLAWLESS, "b": bad}, {})
    assert result.wrong == []
    assert "(c) Absent: not installed." in result.notes
    assert [row[0] for row in result.tables[0].rows] == ["(a) Ringfence", "(b) Other", "(c) Absent"]
    assert result.tables[1].rows[1] == ["(b) Other", "not measured", "1 (0.30 s)", "not measured", "the same"]


def test_the_document_has_a_place_for_the_figures():
    text = DOCUMENT.read_text(encoding="utf-8")
    assert "new figures" in document.replace(text, section([], {}, {}).name, "new figures")
