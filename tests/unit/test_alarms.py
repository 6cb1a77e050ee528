"""The alarms, their sections in docs/operations.md, their tests for promtool, and the scrape configuration.

That every metric which any of these names is told by a living node is tested with one
(tests/cluster/test_metrics_of_nodes.py); what the expressions do is promtool's (make alerts).
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from server.settings import load


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.fixture
def alarms(project: Path) -> dict[str, dict[str, Any]]:
    """Every rule, by its name."""
    found = read(project / "deploy/prometheus/rules.yml")
    rules = [rule for group in found["groups"] for rule in group["rules"]]
    assert len({rule["alert"] for rule in rules}) == len(rules)
    return {rule["alert"]: rule for rule in rules}


def test_every_alarm_has_a_section_that_says_how_urgent_it_is_and_every_section_an_alarm(
    project: Path, alarms: dict[str, dict[str, Any]]
) -> None:
    text = (project / "docs/operations.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^### (\w+)\n\n\*(\w+)\.\*", text, re.MULTILINE))
    assert {name: severity.lower() for name, severity in sections.items()} == {
        name: rule["labels"]["severity"] for name, rule in alarms.items()
    }
    assert set(re.findall(r"\bRingfence[A-Z]\w+", text)) == set(alarms)


def test_every_alarm_says_what_has_happened_and_is_tested_quiet_and_loud(
    project: Path, alarms: dict[str, dict[str, Any]]
) -> None:
    tested: dict[str, list[int]] = {}
    for path in (project / "deploy/prometheus").glob("rules*_test.yml"):
        for one in (one for test in read(path)["tests"] for one in test["alert_rule_test"]):
            tested.setdefault(one["alertname"], []).append(len(one["exp_alerts"]))
    assert tested == {name: [0, 1] for name in alarms}
    for name, rule in alarms.items():
        assert rule["annotations"]["summary"], name


def test_all_instances_and_the_public_port_are_scraped(project: Path) -> None:
    settings = load(str(project / "config.yaml"), {})
    configuration = read(project / "deploy/prometheus/prometheus.yml")
    jobs = {job["job_name"]: job for job in configuration["scrape_configs"]}
    interval = configuration["global"]["evaluation_interval"]
    scraped = {
        (target, entry.get("labels", {}).get("instance"))
        for job in jobs.values()
        for entry in job["static_configs"]
        for target in entry["targets"]
    }
    nodes = range(1, settings.cluster.instances + 1)
    host = settings.http.host
    assert interval == "15s", "rules are looked at as often as figures come"
    assert scraped == {(f"{host}:{settings.http.port}", None)} | {
        (f"{host}:{settings.node_port(number)}", f"node-{number}") for number in nodes
    }


def test_the_dashboard_asks_the_prometheus_that_is_chosen_and_describes_each_panel(project: Path) -> None:
    dashboard = json.loads((project / "deploy/grafana/ringfence.json").read_text(encoding="utf-8"))
    variables = {one["name"] for one in dashboard["templating"]["list"]}
    panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    for panel in panels:
        assert panel["description"], panel["title"]
        assert panel["datasource"]["uid"] == "${datasource}"
        for target in panel["targets"]:
            assert set(re.findall(r"\$(\w+)", target["expr"])) <= variables, target["expr"]
