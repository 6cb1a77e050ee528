"""The figures of the storm's report, on forged evidence."""

import json

import pytest
from forged import evidence, lines, row
from storm import figures, report
from storm.evidence import Harm, NodeEvent, Sighting, load
from storm.figures import Samples


def kill(at: float, incarnation: int = 1, until: float = 3.0) -> Harm:
    return Harm("node_killed", "node-1", "", at, at + until, {"killed_at": at, "incarnation": incarnation})


def lost(run: int, began: float, ended: float, **changes):
    return row(run, began, ended, status="lost", error="node-1 died while it ran this task", **changes)


def test_percentiles_are_samples_and_the_99th_of_few_is_the_longest():
    samples = Samples([3.0, 1.0, 2.0])
    assert (samples.percentile(0.5), samples.percentile(0.99)) == (2.0, 3.0)
    assert Samples([float(n) for n in range(1, 201)]).percentile(0.99) == 198.0
    assert Samples().percentile(0.5) is None


def test_a_restart_is_measured_from_the_kill_to_the_first_line_of_the_successor():
    made = evidence(
        lines=[*lines(1, 0, 1, end=False), *lines(2, 2.75, 4, node="node-2")],
        runs=[lost(1, 0, 2.0), row(2, 2.5, 4, incarnation=2, node="node-2", predecessor=1)],
        harms=[kill(1.5)],
    )
    assert figures.restarts_after_a_kill(made).seconds == [1.25]


def test_a_second_loss_in_a_row_and_a_disturbed_restart_are_left_out_and_counted():
    runs = [
        lost(1, 0, 2.0),
        lost(2, 3, 5.0, incarnation=2, predecessor=1),
        row(3, 15, 16, incarnation=3, predecessor=2),
    ]
    made = evidence(
        lines=[*lines(1, 0, 1), *lines(2, 3.5, 4), *lines(3, 15, 16)],
        runs=runs,
        harms=[kill(1.5), kill(4.6, incarnation=2)],
    )
    found = figures.restarts_after_a_kill(made)
    assert found.seconds == [2.0]
    assert found.left_out == {"lost more than once in a row, so it waits on purpose": 1}
    made.harms.append(Harm("partition", "node-3", "", 3.0, 4.0))
    assert figures.restarts_after_a_kill(made).left_out["another fault at the same time"] == 1


def test_the_margin_of_a_partition_is_from_the_last_line_to_the_end_of_the_lease():
    facts = {"lease_ended_at": 4.5, "jobs_at_the_end": 0, "healed_at": 9.0}
    made = evidence(harms=[Harm("partition", "node-1", "", 0.5, 9.0, facts)])
    assert figures.margins_of_partitions(made).seconds == [2.5]


def told(*heard: tuple[int, float, int]) -> list[Sighting]:
    return [Sighting(f"node-{node}", at, version) for node, at, version in heard]


def test_news_counts_for_each_node_until_it_has_seen_that_version_or_a_later_one():
    made = evidence(
        node_events=[NodeEvent(7, 10.0, "joined", "node-3")],
        sightings=told((1, 10.1, 7), (2, 10.4, 8), (3, 10.2, 6), (3, 10.3, 7)),
    )
    assert [round(s, 1) for s in figures.news_of_members(made).seconds] == [0.1, 0.4, 0.3]


def test_who_never_hears_counts_as_very_long_and_who_was_broken_does_not_count():
    made = evidence(
        node_events=[NodeEvent(7, 10.0, "joined", "node-3")],
        sightings=told((3, 10.3, 7)),
        harms=[Harm("node_frozen", "node-2", "", 9.0, 12.0)],
    )
    found = figures.news_of_members(made)
    assert [round(s, 1) for s in found.seconds] == [30.0, 0.3]
    assert sum(found.left_out.values()) == 1


def test_a_rehash_is_over_when_the_last_of_the_others_knows():
    stop = {"node": "node-1", "asked_at": 10.0, "back_at": 14.0}
    made = evidence(
        node_events=[NodeEvent(7, 10.05, "draining", "node-1")],
        sightings=told((2, 10.1, 7), (3, 10.6, 7)),
        harms=[Harm("rolling_restart", None, "", 10.0, 14.0, {"stops": [stop]})],
    )
    assert [round(s, 1) for s in figures.rehashes_after_a_stop(made).seconds] == [0.6]


def written(tmp_path, seed: int):
    about = {"seed": seed, "day": "2026-01-01", "machine": "a machine", "runs_wanted": 1}
    told = report.compile_report([evidence(seed=seed, proof_of_death=True)], about)
    path = tmp_path / f"{seed}.json"
    path.write_text(json.dumps(told))
    return path


def test_a_report_names_every_invariant_and_target(tmp_path):
    told = json.loads(written(tmp_path, 3).read_text())
    text = report.as_text(told)
    for name in [*told["invariants"], *(target["what"] for target in told["targets"])]:
        assert name in text
    assert "BROKEN  the storm was one" in text, "nobody wrote anything guarded there"
    assert told["is_clean"] is False
    told["targets"][1]["left_out"] = "3 left out: another fault"
    assert report.as_markdown([told]).count("; 3 left out: another fault |") == 1


def test_figures_replace_only_what_stands_between_the_marks(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{report.BEGIN}\nfigures of before\n{report.END}\nafter\n")
    files = [written(tmp_path, 3), written(tmp_path, 4)]
    report.write_figures(page, files)
    once = page.read_text()
    assert once.startswith(f"before\n{report.BEGIN}\n")
    assert once.endswith(f"{report.END}\nafter\n")
    assert "figures of before" not in once
    assert "| to reach | wanted | seed 3 | seed 4 |" in once
    report.write_figures(page, files)
    assert page.read_text() == once


def test_figures_need_their_marks(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("no marks")
    with pytest.raises(AssertionError, match="holds"):
        report.write_figures(page, [written(tmp_path, 3)])


def test_evidence_is_the_same_after_it_was_saved_and_loaded(tmp_path):
    made = evidence(harms=[kill(1.5)], node_events=[NodeEvent(7, 10.0, "joined", "node-3")])
    made.save(tmp_path / "evidence.json")
    assert load(tmp_path / "evidence.json") == made
