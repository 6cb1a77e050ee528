"""The README's chapter "A second host", done word by word on hosts that are network namespaces."""

import re
import time
from collections.abc import Iterator, Set
from pathlib import Path
from typing import Any

import pytest
from fleet import overlaps, wait_until
from hosts import FIRST, SECOND, THIRD, Namespaces, hosts_in
from service import READY
from street import INSTANCES, TASKS, Chapter, Street

NAMES = {f"node-{number}" for number in (*range(1, INSTANCES + 1), 7)}


@pytest.fixture
def street(tmp_path: Path, project: Path) -> Iterator[Street]:
    """Hosts with a database, a configuration each, and nothing that runs yet."""
    one = Street(tmp_path, project, hosts_in(tmp_path))
    try:
        yield one
    finally:
        one.close()


def running(seen: dict[str, Any]) -> dict[str, str]:
    """task -> the node that runs it."""
    return {task["name"]: task["running"]["node"] for task in seen.get("tasks", []) if task["running"]}


def start_first(street: Street, chapter: Chapter) -> None:
    *before, last = chapter.on_first
    for line in before:
        done = street.run(FIRST, line)
        assert done.returncode == 0, (line, done.stdout, done.stderr)
    up = street.start(FIRST, last)
    wait_until(lambda: READY in street.said(FIRST) or up.poll() is not None, 60, "the first host")
    assert READY in street.said(FIRST), street.said(FIRST)


def start_second(street: Street, chapter: Chapter) -> None:
    install, serve = chapter.on_second
    assert street.run(SECOND, install).returncode == 0
    if isinstance(street.hosts, Namespaces):
        # As on the first host: its names are taken, which is told before anything is started.
        clash = street.run(SECOND, chapter.on_first[-1])
        assert (clash.returncode, READY in clash.stdout) == (1, False), clash
        assert "node-1 on host-1, node-2 on host-1" in clash.stderr
    street.start(SECOND, serve)


def see_both(street: Street, top: str) -> None:
    def nodes() -> list[dict[str, Any]]:
        assert street.processes[SECOND].poll() is None, street.said(SECOND)
        found = street.look(top).get("nodes", [])
        return found if {node["name"] for node in found} == NAMES else []

    seen = wait_until(nodes, 60, "both hosts")
    if isinstance(street.hosts, Namespaces):
        hosts = {node["name"]: node["host"] for node in seen}
        assert hosts == {"node-1": "host-1", "node-2": "host-1", "node-7": "host-2"}
        # Not that of every address, which would lead nowhere.
        assert {"http://host-1:8001", "http://host-2:8007"} <= {node["url"] for node in seen}
        # The second host's public port is its own instance's.
        examined = street.run(SECOND, ".venv/bin/ringfence doctor").stdout
        assert re.search(r"^ok +ports .*run here without `ringfence up`$", examined, re.MULTILINE), examined
        nobody = street.run(THIRD, f"{top.replace(':8007', ':8008')} --once")
        assert "with http.host: 0.0.0.0?" in nobody.stderr, nobody
    refused = street.run(THIRD, f"{top.partition(' --token')[0]} --once")
    assert (refused.returncode, "needs a token" in refused.stderr) == (1, True)
    assert "--token-file" in refused.stderr


def scrape_both(street: Street, scrape: str) -> None:
    for line in (scrape, scrape.replace("0.2:8007", "0.1:8001")):
        told = street.run(THIRD, line).stdout
        assert re.search(r'^ringfence_cluster_nodes\{state="live"\} 3\.0$', told, re.MULTILINE), told
        assert '"unauthenticated"' in street.run(THIRD, line.partition(" -H")[0]).stdout


def lose_second(street: Street, top: str) -> None:
    def share_of_second() -> bool:
        return sum(task["owner"] == "node-7" for task in street.look(top).get("tasks", [])) == TASKS // 3

    def all_running(line: str, *without: str) -> dict[str, str]:
        now = running(street.look(line))
        return now if len(now) == TASKS and not set(without) & set(now.values()) else {}

    wait_until(share_of_second, 30, "a share for the second host")
    line = top.replace(" top ", " run task-$n ")
    told = street.run(THIRD, f"for n in {{0..{TASKS - 1}}}; do {line} || exit; done")
    assert told.returncode == 0, told.stderr
    held = wait_until(lambda: all_running(top), 30, "every task's run")
    assert set(held.values()) == NAMES
    asked_at = time.clock_gettime(time.CLOCK_BOOTTIME)
    lease_seconds = next(
        node["leaseSeconds"] for node in street.look(top)["nodes"] if node["name"] == "node-7"
    )
    street.kill_second()
    after = wait_until(lambda: all_running(top.replace("0.2:8007", "0.1:8000"), "node-7"), 60, "the takeover")
    stayed = {task: node for task, node in held.items() if node != "node-7"}
    assert {task: after[task] for task in stayed} == stayed
    # Nothing proves to the first host that the second has died, so its lease has to pass.
    moved = wait_until(lambda: began_again(street, held.keys() - stayed.keys()), 30, "the runs' first words")
    assert min(moved) >= asked_at + lease_seconds


def began_again(street: Street, tasks: Set[str]) -> list[float]:
    """When the successors of the second host's runs began; empty before all of them have."""
    lines = [line for line in street.testimony() if line["task"] in tasks and line["event"] == "start"]
    found = [line["at"] for line in lines if line["node"] != "node-7"]
    return found if len(found) == len(tasks) else []


def test_a_newcomer_with_the_readme_puts_a_second_host_beside_the_first(
    street: Street, project: Path
) -> None:
    chapter = Chapter((project / "README.md").read_text(encoding="utf-8"))
    street.set_up_database(chapter)
    street.configure(chapter)
    start_first(street, chapter)
    start_second(street, chapter)
    # The third place has the token, and neither a configuration nor a way to the database's password.
    top, scrape = chapter.on_third
    (street.home(THIRD) / "my-token").write_text((street.home(FIRST) / "my-token").read_text())
    see_both(street, top)
    scrape_both(street, scrape)
    lose_second(street, top)
    assert overlaps(street.testimony()) == []
