"""The pure parts of what /metrics says: sizes, bounds of labels, changes of the membership, expectations."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from server.cluster import hard_stops
from server.cluster.figures import changes
from server.cluster.membership import Member
from server.cron.expectation import longest_gap_seconds
from server.cron.schedule import Cron, Every
from server.distribution import Distribution
from server.web.metrics.definition import OTHERS, Definition, bounded
from server.web.metrics.document import SECTIONS, make_document
from server.web.metrics.facts import last_successes

FRIDAY = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)


def samples(metric):
    class One(Collector):
        def collect(self):
            yield metric

    registry = CollectorRegistry()
    registry.register(One())
    text = generate_latest(registry).decode()
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_size_is_counted_under_its_bound_and_all_above_it() -> None:
    distribution = Distribution((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 99.0):
        distribution.observe(value)
    assert distribution.cumulative == [2, 3, 4]
    assert (distribution.count, distribution.total) == (4, 102.0)


def test_a_distribution_becomes_a_histogram_that_prometheus_reads() -> None:
    distribution = Distribution((1.0, 2.5))
    distribution.observe(2.0)
    definition = Definition("histogram", "ringfence_x_seconds", "x", ("use",))
    assert samples(definition.spread({("money",): distribution})) == {
        ("ringfence_x_seconds_bucket", "1.0", "money"): 0.0,
        ("ringfence_x_seconds_bucket", "2.5", "money"): 1.0,
        ("ringfence_x_seconds_bucket", "+Inf", "money"): 1.0,
        ("ringfence_x_seconds_count", "money"): 1.0,
        ("ringfence_x_seconds_sum", "money"): 2.0,
    }


def test_a_counter_keeps_the_name_that_it_is_defined_with() -> None:
    counter = Definition("counter", "ringfence_x_total", "x")
    assert samples(counter.of(3)) == {("ringfence_x_total",): 3.0}


def test_labels_beyond_the_limit_share_one_series() -> None:
    values = {(name, "ok"): float(number) for number, name in enumerate("abcd")}
    assert bounded(values, sum, 4) == values
    assert bounded(values, sum, 2) == {("a", "ok"): 0.0, ("b", "ok"): 1.0, (OTHERS, "ok"): 5.0}
    assert bounded(values, max, 2)[OTHERS, "ok"] == 3.0


def member(name: str, incarnation: int, state: str = "live") -> Member:
    return Member(name, incarnation, state, frozenset(), 0.0)


def test_changes_of_the_membership_are_told_apart() -> None:
    before = [member("node-1", 1), member("node-2", 2), member("node-3", 3)]
    after = [member("node-1", 1, "draining"), member("node-2", 4), member("node-4", 5)]
    assert sorted(changes(before, after)) == ["draining", "gone", "gone", "joined", "joined"]
    assert changes(after, after) == []


@pytest.mark.parametrize(
    ("schedule", "seconds"),
    [
        (Every(300), 300),
        (Cron("0 * * * *", "UTC"), 3600),
        (Cron("0 9 * * 1-5", "UTC"), 3 * 86_400),
    ],
)
def test_a_task_is_measured_by_the_longest_gap_of_its_schedule(schedule, seconds: float) -> None:
    assert longest_gap_seconds(schedule, FRIDAY) == seconds


def row(name: str, success_seconds: float | None, oldest_seconds: float | None = None) -> SimpleNamespace:
    return SimpleNamespace(name=name, success_seconds=success_seconds, oldest_seconds=oldest_seconds)


def test_a_success_that_failures_have_pushed_out_of_sight_is_not_forgotten() -> None:
    first = last_successes([row("a", 5.0), row("b", None, 30.0), row("c", None)], {}, 100.0)
    assert first == {"a": 95.0, "b": 70.0}
    # Both have failed so often since that nothing older is looked at.
    assert last_successes([row("a", None, 2.0), row("b", None, 2.0)], first, 200.0) == first
    assert last_successes([row("a", 1.0)], first, 200.0) == {"a": 199.0}


def test_hard_stops_are_counted_by_kind_and_what_is_no_kind_is_not(tmp_path) -> None:
    path = hard_stops.path_in(tmp_path, "node-1")
    assert hard_stops.read(path) == {"lease": 0, "loop": 0}
    path.write_text("lease\nloop\nlease\nnonsense\n")
    assert hard_stops.read(path) == {"lease": 2, "loop": 1}
    path.write_bytes(b"\xff\xfe")
    assert hard_stops.read(path) == {"lease": 0, "loop": 0}


def test_every_metric_has_a_name_of_ours_a_unit_and_a_meaning() -> None:
    definitions = [one for _, _, section in SECTIONS for one in section]
    assert len({one.name for one in definitions}) == len(definitions)
    for one in definitions:
        assert one.name.startswith("ringfence_"), one.name
        assert one.name.endswith("_total") == (one.kind == "counter"), one.name
        assert one.meaning.endswith("."), one.name


def test_the_list_of_metrics_is_what_the_definitions_make(project) -> None:
    written = (project / "docs/metrics.md").read_text(encoding="utf-8")
    assert written == make_document(), "run: python -m server.web.metrics.document"
