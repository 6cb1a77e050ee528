"""/metrics of living nodes: what ran, what did not happen, who is there, and whatever the documents name."""

import json
import re
import signal
from pathlib import Path

import pytest
from fleet import Fleet, wait_until

from server.web.metrics.document import SECTIONS

NAMED = re.compile(r"\b(?:ringfence|process)_[a-z_]+[a-z]\b")
DOCUMENTS = (
    "docs/metrics.md",
    "docs/operations.md",
    "deploy/prometheus/rules.yml",
    "deploy/grafana/ringfence.json",
)
SUFFIXES = re.compile(r"_(?:bucket|count|sum)$")


@pytest.fixture
def busy(fleet, tmp_path) -> Fleet:
    """One node with tasks that succeed, fail, are always late for their next time, and rest."""
    made = fleet(
        {
            "quick": {"function": "witness:work", "every": "1h", "params": {"seconds": 0}},
            "fails": {"function": "witness:fails", "every": "1h"},
            "long": {"function": "witness:work", "every": "1s", "params": {"seconds": 120}},
            "resting": {"function": "witness:work", "every": "1h", "paused": True},
        },
        settle=0.1,
    )
    made.witness.touch()
    text = made.config.read_text()
    made.config.write_text(text.replace("params:\n      ", f"params:\n      path: {made.witness}\n      "))
    made.start(1)
    made.wait_ready()
    return made


def test_a_node_tells_how_runs_ended_what_is_late_and_what_did_not_happen(busy):
    busy.ended(task="quick")
    busy.ended(task="fails")
    found = wait_until(
        lambda: (
            said
            if ("ringfence_ticks_skipped_total", "still_running", "long") in (said := busy.metrics())
            else None
        ),
        why="a skipped tick",
    )
    assert found["ringfence_runs_started_total", "quick", "schedule"] == 1
    assert found["ringfence_runs_total", "succeeded", "quick"] == 1
    assert found["ringfence_runs_total", "failed", "fails"] == 1
    assert found["ringfence_run_running_seconds", "long"] > 0
    assert found["ringfence_runs_held",] == 1
    assert found["ringfence_run_lateness_seconds_count", "schedule"] == 3
    assert found["ringfence_ticks_skipped_total", "still_running", "long"] >= 1
    assert found["ringfence_task_paused", "resting"] == 1
    assert (
        found["ringfence_task_overdue_seconds", "resting"]
        == found["ringfence_task_overdue_seconds", "long"]
        == 0
    )
    assert found["ringfence_task_interval_seconds", "quick"] == 3600
    assert found["ringfence_tasks_owned",] == 4
    assert found["ringfence_lease_ttl_seconds",] >= found["ringfence_lease_remaining_seconds",] > 0
    assert found["ringfence_heartbeat_seconds_count",] > 0
    assert found["ringfence_cluster_nodes", "live"] == found["ringfence_listening", "listening"] == 1
    _defined_and_told_are_one(busy.families())
    _whatever_is_named_is_told(busy, {name for name, *_ in busy.metrics()})


def _defined_and_told_are_one(told) -> None:
    """The definitions are what a node says, text for text; besides, there are the client library's own."""
    found = {one.name: (one.type, one.documentation) for one in told if one.name.startswith("ringfence_")}
    assert found == {
        one.name.removesuffix("_total"): (one.kind, one.meaning)
        for _, _, section in SECTIONS
        for one in section
    }


def _whatever_is_named_is_told(fleet: Fleet, told: set[str]) -> None:
    project = Path(__file__).resolve().parents[2]
    told |= {SUFFIXES.sub("", name) for name in told}
    # What has no sample as long as nothing happened.
    told |= {one.name for _, _, section in SECTIONS for one in section}
    for file in DOCUMENTS:
        text = (project / file).read_text(encoding="utf-8")
        if file.endswith(".json"):
            text = "\n".join(target["expr"] for target in _targets(json.loads(text)))
        named = set(NAMED.findall(text)) - {"ringfence_owner"}
        assert named, file
        assert {SUFFIXES.sub("", name) for name in named} - told == set(), file


def _targets(dashboard):
    return [target for panel in dashboard["panels"] for target in panel.get("targets", [])]


def test_a_killed_node_shows_as_gone_and_its_run_as_taken_over(workers):
    fleet = workers(2, seconds=120)
    fleet.start(1, 2)
    fleet.wait_ready()
    wait_until(lambda: len(fleet.spread()) == 2, why="a run on each node")
    before = fleet.metrics()
    assert before["ringfence_assignment_spread_tasks",] == 0
    fleet.signal(2, signal.SIGKILL)
    fleet.wait_for_end(2)
    wait_until(lambda: fleet.metrics()["ringfence_run_lateness_seconds_count", "lost"] == 1, why="a takeover")
    found = fleet.metrics()
    started = [labels for name, *labels in found if name == "ringfence_runs_started_total"]
    assert "lost" in [trigger for _, trigger in started]
    assert (
        found["ringfence_membership_changes_total", "gone"]
        == before["ringfence_membership_changes_total", "gone"] + 1
    )
    assert found["ringfence_cluster_nodes", "live"] == 1
