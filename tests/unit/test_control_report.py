"""What the simulation of many nodes makes of its figures, and where they go."""

import pytest

from benchmarks.report import document
from benchmarks.report.control import Level, carried_on, section


def level(nodes: int, cores: float) -> Level:
    return Level(
        nodes=nodes,
        connections=3 * nodes,
        memory_mib=100.0,
        heartbeats_a_second=float(nodes),
        heartbeat_seconds=(0.001, 0.002),
        deliveries_a_second=10.0,
        delivery_seconds=(0.003, 0.004),
        wal_bytes_a_second=2048.0,
        cores=cores,
        client_cores=0.5,
        known_seconds=(0.1, 0.25),
        counts_a_second={"runs": 1.5, "readings of the tasks": 40.0},
    )


@pytest.mark.parametrize(("line", "square"), [(0.001, 0.0), (0.001, 0.00002), (0.0, 0.0001)])
def test_what_grows_with_the_nodes_and_with_their_square_is_carried_on_exactly(line, square):
    levels = [level(nodes, line * nodes + square * nodes**2) for nodes in (10, 100, 200)]
    assert carried_on(levels, 1_000) == pytest.approx(line * 1_000 + square * 1_000**2)


def test_each_level_is_a_row_of_both_tables_in_its_units():
    load, times = section([level(10, 0.1), level(20, 0.2)]).tables
    assert load.rows[0] == [
        "10",
        "30",
        "10.0",
        "1.5",
        "10.0",
        "40.0",
        "0.0",
        "2.0",
        "0.10",
        "100",
        "0.50",
    ]
    assert times.rows[1] == ["20", "1.00", "2.00", "3.00", "4.00", "100.00", "250.00"]


def test_figures_that_bend_downward_are_carried_on_as_a_line():
    assert carried_on([level(100, 0.2), level(200, 0.3)], 1_000) == pytest.approx(1.6)


def test_one_level_alone_is_not_carried_on():
    assert section([level(10, 0.1)]).notes == []


@pytest.mark.parametrize("name", ["growth", "control"])
def test_the_figures_have_their_place_in_the_document(project, name):
    text = (project / "docs" / "scaling.md").read_text(encoding="utf-8")
    assert "figures" in document.replace(text, name, "figures")
