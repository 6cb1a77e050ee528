"""The ring, and what stays true on it when nodes die."""

import re
import signal
import time

from fleet import wait_until
from playwright.sync_api import expect

from browser.shared_door import STEADY

ARC = '[data-node="{}"]'


def owned_by(page, node: str) -> list[str]:
    marks = page.locator(f'[data-task][aria-label*="owned by {node},"]')
    return [mark.get_attribute("data-task") for mark in marks.all()]


def test_every_task_stands_at_its_owner_and_tells_why(page, cluster):
    expect(page.locator("[data-task]")).to_have_count(len(cluster.get("/tasks")["tasks"]))
    for node in cluster.get("/nodes")["nodes"]:
        expect(page.locator(ARC.format(node["name"]))).to_have_attribute("data-state", "live")
        assert sorted(owned_by(page, node["name"])) == node["owns"]
    task = cluster.task("steady-1")
    page.locator('[data-task="steady-1"]').hover()
    tip = page.locator("#ring-tip")
    expect(tip).to_contain_text(f"Owned by {task['owner']}")
    expect(tip).to_contain_text(cluster.get("/tasks/steady-1/placement")["reason"])
    expect(tip).to_contain_text("11 tasks on 3 nodes: 3 or 4 each.")


def test_when_a_node_is_killed_its_arc_empties_and_its_tasks_travel(page, cluster, visit):
    wait_until(lambda: cluster.spread().total() >= STEADY, 30, "the steady tasks run")
    ((name, _),) = cluster.spread().most_common(1)
    victim = int(name.removeprefix("node-"))
    tasks = owned_by(page, name)
    assert tasks
    before = page.locator(f'[data-task="{tasks[0]}"]').evaluate("mark => mark.style.transform")
    newest = cluster.get("/runs?limit=1")["runs"][0]["id"]
    cluster.signal(victim, signal.SIGKILL)
    cluster.processes[victim].wait()
    removed = cluster.processes.pop(victim)
    expect(page.locator(ARC.format(name))).to_have_attribute("data-state", "dead")
    expect(page.locator(f'[data-task][aria-label*="owned by {name},"]')).to_have_count(0)
    seen_at = time.time()
    for task in tasks:
        words = re.compile(f"^{task}, owned by {cluster.task(task)['owner']}, ")
        expect(page.locator(f'[data-task="{task}"]')).to_have_attribute("aria-label", words)
    assert page.locator(f'[data-task="{tasks[0]}"]').evaluate("mark => mark.style.transform") != before
    with cluster.database.connect() as connection:
        (died_at,) = connection.execute(
            "select extract(epoch from max(at)) from events where event = 'dead' and node = %s", [name]
        ).fetchone()
    # 0.8 s at most with a load average of 19 on two cores; this test looks ten times a second.
    assert seen_at - float(died_at) < 4
    lost = [run for run in cluster.runs(status="lost") if run["id"] <= newest and run["node"] == name]
    assert lost
    timeline = visit().open("timeline")
    for run in lost:
        expect(timeline.locator(f'[data-run="{run["id"]}"]')).to_have_attribute("data-status", "lost")
    expect(timeline.locator(".links path")).not_to_have_count(0)
    cluster.processes[victim] = removed
    cluster.bring_back(victim)
    expect(page.locator(ARC.format(name))).to_have_attribute("data-state", "live")
    expect(page.locator(f'[data-task][aria-label*="owned by {name},"]')).not_to_have_count(0)


def test_with_reduced_motion_nothing_travels(visit):
    page = visit(reduced_motion="reduce").open()
    style = "mark => getComputedStyle(mark).transitionDuration"
    assert page.locator('[data-task="short"]').evaluate(style) == "0s"
    moving = visit().open()
    assert moving.locator('[data-task="short"]').evaluate(style) != "0s"


def test_a_dead_node_has_no_lease_left_whatever_it_had_when_it_died(visit, cluster):
    one = visit()
    dead = dict(cluster.node("node-2"), state="dead", owns=[], runs=[], leaseSeconds=14.0)
    nodes = [node for node in cluster.get("/nodes")["nodes"] if node["name"] != "node-2"]
    one.page.route("**/nodes", lambda route: route.fulfill(json={"nodes": [*nodes, dead]}))
    page = one.open("nodes")
    expect(page.get_by_role("meter", name="Lease of node-2")).to_have_attribute("aria-valuenow", "0")
    expect(page.get_by_text("2 live nodes and 1 that is not;")).to_be_visible()
    expect(page.get_by_role("link", name="Nodes, 2 live")).to_be_visible()
