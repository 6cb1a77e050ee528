"""The checker of the storm, on forged evidence: it finds each kind of wrong, and only that."""

import pytest
from forged import PID, census, evidence, freeze, lines, row
from storm import history, membership
from storm.checker import judge
from storm.evidence import Ending, Evidence, Harm, Line, NodeEvent, Skip, Task, Write

GUARDED = Line("task", 1, "node-1", PID + 1, "guarded", 1.5, serial=1)


def with_a_guarded_write(made: Evidence) -> Evidence:
    made.lines.append(GUARDED)
    made.writes.append(Write(1, "task", 1, 1.5))
    return made


def test_evidence_without_a_fault_is_clean():
    judgement = judge(with_a_guarded_write(evidence()))
    assert judgement.is_clean, judgement.findings
    assert judgement.thaws == []


# S2


def test_a_tick_that_became_neither_a_run_nor_a_skip_is_forgotten():
    made = evidence(runs=[row(1, 0, 2), row(2, 20, 22)], now=23, tasks=[Task("task", 10, next_run_at=30)])
    assert history.forgotten(made) == ["task: nothing was decided on the tick 10.000"]


def test_a_tick_during_a_run_that_was_recorded_as_skipped_is_not_forgotten():
    runs = [row(1, 0, 12), row(2, 20, 22)]
    made = evidence(runs=runs, now=23, tasks=[Task("task", 10, next_run_at=30)])
    made.skips.append(Skip("task", 10.1, "still running"))
    assert history.forgotten(made) == []


def test_a_skip_before_the_tick_or_after_the_next_run_does_not_excuse_it():
    for moment in (9.0, 20.5):
        made = evidence(
            runs=[row(1, 0, 12), row(2, 20, 22)], now=23, tasks=[Task("task", 10, next_run_at=30)]
        )
        made.skips.append(Skip("task", moment, "still running"))
        assert history.forgotten(made) == ["task: nothing was decided on the tick 10.000"]


def test_a_late_run_stands_for_the_ticks_that_passed_before_it():
    late = row(1, 0, 12, started_at=11.0)
    made = evidence(runs=[late, row(2, 20, 22)], now=23, tasks=[Task("task", 10, next_run_at=30)])
    assert history.forgotten(made) == []


def test_a_drifting_interval_is_found():
    made = evidence(runs=[row(1, 0, 2), row(2, 10.02, 12)], tasks=[Task("task", 10, next_run_at=20.02)])
    assert history.forgotten(made) == ["task: the tick after 0.000 is 10.020, which is no tick"]


@pytest.mark.parametrize("status", ["lost", "interrupted"])
def test_a_lost_run_that_nothing_follows_is_forgotten(status):
    made = evidence(runs=[row(1, 0, 2), row(2, 10, 12, status=status)])
    assert history.forgotten(made) == [f"task: run 2 was {status}, and nothing followed"]
    made.tasks = [Task("task", 10, next_run_at=20, due_at=21, due_run=2)]
    assert history.forgotten(made) == [], "it is still due"


def test_a_lost_run_is_followed_by_its_successor_or_by_a_tick_that_came_first():
    for changes in ({"trigger": "lost", "predecessor": 1, "scheduled_for": 2}, {}):
        made = evidence(runs=[row(1, 0, 2, status="lost"), row(2, 10, 12, **changes)])
        made.tasks = [Task("task", 10, next_run_at=10 if changes else 20)]
        assert history.forgotten(made) == []


def test_a_lost_run_that_is_followed_very_late_is_forgotten():
    made = evidence(runs=[row(1, 0, 2, status="lost"), row(2, 40, 42)], now=43)
    made.tasks = [Task("task", 40, next_run_at=80)]
    assert history.forgotten(made) == ["task: run 1 was lost, and 38.0 s later another began"]


def test_a_task_that_never_started_is_forgotten():
    made = evidence()
    made.tasks.append(Task("another", 10, next_run_at=20))
    assert history.forgotten(made) == ["another: never started"]


@pytest.mark.parametrize("due", [{"next_run_at": 20}, {"next_run_at": 130, "due_at": 20}])
def test_a_task_that_is_long_overdue_at_the_end_is_forgotten(due):
    made = evidence(now=120, tasks=[Task("task", 10, **due)])
    made.skips = [Skip("task", 119.9, "still running")]
    assert history.forgotten(made) == ["task: has been due for 100.0 s and does not start"]


def test_a_run_that_began_long_after_it_was_due_and_free_is_forgotten():
    late = row(2, 10, 42, started_at=40.0)
    made = evidence(runs=[row(1, 0, 2), late], now=43, tasks=[Task("task", 10, next_run_at=50)])
    assert history.forgotten(made) == ["task: run 2 began 30.0 s after it was due"]
    made.runs[0] = row(1, 0, 38)
    assert history.forgotten(made) == [], "it could not begin before the other had ended"


# S3 and S5


@pytest.mark.parametrize("changes", [{"status": "running"}, {"finished_at": None}])
def test_a_start_without_an_ending_is_found(changes):
    runs = [row(1, 0, **{"ended": 2} | {k: v for k, v in changes.items() if k == "status"}), row(2, 10, 12)]
    if "finished_at" in changes:
        runs[0] = row(1, 0, None)
    assert history.open_endings([], runs) == ["task: run 1 on node-1 has no ending"]


def test_an_execution_that_the_history_does_not_know_is_found():
    assert history.open_endings(lines(3, 0, 1), [row(1, 0, 2)]) == ["run 3 began and is not in the history"]


def test_a_success_without_an_end_is_wrong():
    found = history.wrongly_accepted(lines(1, 0, 1, end=False), [row(1, 0, 2)])
    assert found == ["task: run 1 succeeded, and no job of it came to its end"]


@pytest.mark.parametrize(
    "changes", [{"result": {"run": 1, "pid": 999, "node": "node-1"}}, {"result": None}, {"node": "node-2"}]
)
def test_a_success_with_the_result_of_somebody_else_is_wrong(changes):
    assert len(history.wrongly_accepted(lines(1, 0, 1), [row(1, 0, 2, **changes)])) == 1


def test_a_run_that_ended_and_was_lost_before_it_could_say_so_is_right():
    assert history.wrongly_accepted(lines(1, 0, 1), [row(1, 0, 2, status="lost", result=None)]) == []


# Guarded writes


def test_a_guarded_write_after_the_next_run_had_begun_is_found():
    runs = [row(1, 0, 2), row(2, 10, 12)]
    assert history.late_writes([Write(1, "task", 1, 9.9)], runs, []) == []
    found = history.late_writes([Write(1, "task", 1, 10.25)], runs, [])
    assert found == ["task: run 1 wrote 0.250 s after run 2 had begun"]


def test_a_confirmed_write_that_is_not_there_is_found():
    found = history.late_writes([Write(1, "task", 2, 1.5)], [row(1, 0, 2)], [GUARDED])
    assert found == ["task: write 1 of run 1 was confirmed and is not there"]


def test_a_guarded_write_after_a_thaw_is_found_though_nobody_had_followed_yet():
    made = evidence(harms=[freeze(1, frozen_at=0.5, thawed_at=1.25)])
    found = judge(with_a_guarded_write(made)).findings["guarded writes end with the run"]
    assert found == ["task: run 1 wrote under guard() after it had been frozen beyond its lease"]


# S4 and S6


def test_a_node_with_two_more_than_another_is_uneven():
    starts = {"a": "node-1", "b": "node-1", "c": "node-2"}
    found = membership.uneven(census(starts=starts), 3)
    assert found == ["uneven by starts: {'node-1': 2, 'node-2': 1}"]


def test_an_owner_that_is_no_member_is_uneven():
    owners = {"node-1": {"a": "node-1", "b": "node-2", "c": "node-9"}}
    assert len(membership.uneven(census(owners=owners), 3)) == 1


def test_one_more_or_less_is_even():
    starts = {"a": "node-1", "b": "node-2", "c": "node-3", "d": "node-2"}
    assert membership.uneven(census(starts=starts), 3) == []


def test_a_cluster_that_never_came_to_rest_is_uneven_and_disagrees():
    assert membership.uneven(None, 3)
    assert membership.disagreement(None)


def test_a_node_that_names_another_owner_disagrees():
    made = census()
    made.owners["node-2"]["task-0"] = "node-3"
    assert membership.disagreement(made) == ["node-1 and node-2 name other owners"]


def test_a_start_by_another_than_the_owner_disagrees():
    made = census(starts={"task-0": "node-2"})
    assert membership.disagreement(made) == ["task-0: started by node-2, owned by node-1"]


# Deaths, partitions, outages, loops


def killed(node: str = "node-1", began: float = 10.0, kind: str = "node_killed", **facts) -> Harm:
    return Harm(kind, node, "", began, began + 2, {"killed_at": began, "incarnation": 1} | facts)


def test_a_death_or_an_ending_without_a_deadly_fault_on_that_node_is_false():
    made = evidence(
        node_events=[NodeEvent(1, 11.0, "dead", "node-1"), NodeEvent(2, 11.0, "dead", "node-2")],
        endings=[Ending("node-3", 11.0, -9)],
        harms=[killed("node-1"), killed("node-2", kind="connections_cut")],
    )
    assert membership.false_deaths(made) == [
        "node-2 was declared dead at 11.000",
        "node-3 ended by itself with -9",
    ]


def test_a_death_long_after_the_fault_is_false():
    made = evidence(node_events=[NodeEvent(1, 60.0, "dead", "node-1")], harms=[killed("node-1")])
    assert membership.false_deaths(made) == ["node-1 was declared dead at 60.000"]


def cut(lease_ended_at: float, jobs_at_the_end: int = 0) -> Harm:
    facts = {"lease_ended_at": lease_ended_at, "jobs_at_the_end": jobs_at_the_end, "healed_at": 9.0}
    return Harm("partition", "node-1", "cable unplugged", 0.0, 9.0, facts)


def test_a_line_or_a_process_of_a_cut_off_node_after_its_lease_is_found():
    assert membership.partitions_outlived(evidence(harms=[cut(2.5)])) == []
    assert len(membership.partitions_outlived(evidence(harms=[cut(1.9)]))) == 1
    assert len(membership.partitions_outlived(evidence(harms=[cut(2.5, jobs_at_the_end=1)]))) == 1


@pytest.mark.parametrize("status", ["lost", "interrupted"])
def test_a_run_or_a_node_that_an_outage_cost_is_found(status):
    away = Harm("database_away", None, "", 1.0, 11.0, {"away_seconds": 10.0})
    assert membership.costs_of_an_outage(evidence(harms=[away])) == []
    made = evidence(harms=[away], runs=[row(1, 0, 9, status=status)])
    made.node_events = [NodeEvent(1, 8.0, "dead", "node-1")]
    assert len(membership.costs_of_an_outage(made)) == 2


def test_a_blocked_loop_that_costs_the_lease_or_a_run_is_found():
    blocked = Harm("loop_blocked", "node-1", "", 0.0, 8.0, {"lease_kept": False, "incarnation": 1})
    made = evidence(harms=[blocked], runs=[row(1, 0, 5, status="interrupted")])
    assert len(membership.costs_of_a_blocked_loop(made)) == 2


def test_a_storm_that_did_not_take_is_no_proof():
    assert not judge(evidence(lines=[])).is_clean
    assert not judge(evidence()).is_clean, "nobody wrote anything guarded"
    made = with_a_guarded_write(evidence(harms=[killed(failed="there were no connections")]))
    assert judge(made).findings["the storm was one"] == [
        "node_killed of node-1 did not take: there were no connections"
    ]
    assert not judge(with_a_guarded_write(evidence(clock_steps_seconds=1.0))).is_clean
