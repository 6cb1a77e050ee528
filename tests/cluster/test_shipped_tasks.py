"""The ten tasks as they ship, at their real length, on six instances."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from service import Service, product_environment, service_settings, until

MINUTES_MAX = 5


@pytest.fixture
def six(tmp_path: Path, project: Path, service: Service):
    settings = service_settings(instances=6)
    settings["tasks"] = yaml.safe_load((project / "config.yaml").read_text())["tasks"]
    one = Service(tmp_path, service.argv, settings, product_environment(project))
    one.start()
    yield one
    one.clean_up()


def first_runs(service: Service) -> list[dict[str, Any]]:
    """The first ten runs, in the order of their start."""
    runs = service.get("/runs?limit=100")[1]["runs"]
    return sorted(runs, key=lambda run: run["id"])[:10]


@pytest.mark.slow
def test_each_runs_for_two_minutes_reports_progress_and_succeeds_and_the_first_are_spread_evenly(six):
    until(lambda: len(first_runs(six)) == 10, "ten runs have started")
    began = first_runs(six)
    assert len({run["task"] for run in began}) == 10
    assert sorted(Counter(run["node"] for run in began).values()) == [1, 1, 2, 2, 2, 2]
    until(lambda: all(run["progress"] for run in first_runs(six)), "each reports progress")

    until(lambda: all(run["finishedAt"] for run in first_runs(six)), "all have ended", 60 * MINUTES_MAX)
    for run in first_runs(six):
        assert run["status"] == "succeeded", run
        assert run["durationSeconds"] >= 120, run
        assert run["result"], run
        assert run["progress"]["done"] == run["progress"]["total"], run
