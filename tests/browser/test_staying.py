"""The page while instances die: it connects again, says so, and has missed nothing."""

import json
import signal

from fleet import wait_until
from playwright.sync_api import expect

# Runs before anything of the page: keeps what the corner said, in order.
KEEP_LINK_STATES = """
window.linkStates = [];
new MutationObserver(() => {
  const link = document.getElementById('link');
  if (link && window.linkStates.at(-1) !== link.dataset.state) window.linkStates.push(link.dataset.state);
}).observe(document, {subtree: true, childList: true, attributes: true});
"""


def shown_ids(page) -> list[int]:
    texts = page.locator(".event-row .code").all_text_contents()
    return sorted(int(text.removeprefix("#")) for text in texts)


def newest(cluster) -> int:
    with cluster.database.connect() as connection:
        return connection.execute("select max(id) from events").fetchone()[0]


def test_it_survives_the_death_of_the_instance_that_serves_it_and_misses_nothing(visit, cluster):
    one = visit(viewport={"width": 1280, "height": 6000})  # so that no row is out of sight
    one.page.add_init_script(KEEP_LINK_STATES)
    page = one.open("events")
    first = newest(cluster)
    (serving,) = wait_until(cluster.serving_events, 20, "somebody serves the page")
    cluster.signal(serving, signal.SIGKILL)
    cluster.processes[serving].wait()
    dead = cluster.processes.pop(serving)
    for _ in range(3):  # while it is away, and after
        cluster.post("/tasks/paused/pause")
        cluster.post("/tasks/paused/resume")
    wait_until(lambda: page.evaluate("window.linkStates").count("live") >= 2, 20, "live again")
    assert page.evaluate("window.linkStates")[-3:] == ["live", "lost", "live"]
    expect(page.locator("#link-text")).to_have_text("Live")
    cluster.processes[serving] = dead
    cluster.bring_back(serving)
    last = newest(cluster)
    expect(page.locator(".event-row .code").filter(has_text=f"#{last}")).to_be_visible()
    with cluster.database.connect() as connection:
        expected = [
            row[0]
            for row in connection.execute(
                "select id from events where id > %s and id <= %s order by id", [first, last]
            )
        ]
    shown = [number for number in shown_ids(page) if first < number <= last]
    assert shown == expected


def test_events_are_filtered_searched_and_paused(visit, cluster):
    page = visit().open("events")
    cluster.post("/tasks/paused/pause")
    cluster.post("/tasks/paused/resume")
    expect(page.locator(".event-row").first).to_contain_text("paused was resumed")
    page.get_by_label("Which kinds").select_option("paused")
    expect(page.locator(".event-row").first).to_contain_text("paused was paused")
    expect(page.locator(".event-row").filter(has_text="resumed")).to_have_count(0)
    page.get_by_label("Which kinds").select_option("")
    page.get_by_label("Search the events").fill("was resumed")
    expect(page.locator(".event-row").filter(has_text="was paused")).to_have_count(0)
    page.get_by_label("Search the events").fill("")
    page.get_by_role("button", name="Pause", exact=True).click()
    before = shown_ids(page)
    cluster.post("/tasks/paused/pause")
    cluster.post("/tasks/paused/resume")
    expect(page.locator(".tools")).to_contain_text("Paused; 2 events since")
    assert shown_ids(page) == before
    page.get_by_role("button", name="Go on").click()
    expect(page.locator(".event-row").first).to_contain_text("paused was resumed")
    page.get_by_label("Search the events").fill("no such thing")
    expect(page.get_by_text("No event is like that.")).to_be_visible()


def test_what_can_not_be_read_is_said_and_can_be_tried_again(visit, cluster):
    one = visit()
    body = json.dumps(
        {"code": "database_unavailable", "detail": "The database gave no answer.", "status": 503}
    )
    one.page.route(
        "**/nodes",
        lambda route: route.fulfill(status=503, content_type="application/problem+json", body=body),
    )
    one.page.goto(cluster.base)
    expect(one.page.locator("#boot")).to_contain_text("The cluster can't be read")
    expect(one.page.locator("#boot")).to_contain_text("The database gave no answer.")
    one.page.unroute("**/nodes")
    one.page.get_by_role("button", name="Try again").click()
    expect(one.page.locator("[data-task]").first).to_be_visible()


def test_while_it_reads_and_where_there_is_nothing_the_page_says_so(visit, cluster):
    one = visit()
    held = []

    def hold(route) -> None:
        held.append(route)

    one.page.route("**/nodes", hold)
    one.page.route("**/tasks?durations=30", lambda route: route.fulfill(json={"tasks": []}))
    one.page.goto(cluster.base)
    expect(one.page.locator("#boot")).to_contain_text("Reading the cluster")
    wait_until(lambda: held or one.page.wait_for_timeout(20), 20, "the nodes are asked for")
    one.page.unroute("**/nodes")
    for route in held:
        route.fulfill(json={"nodes": []})
    expect(one.page.get_by_text("There are no tasks yet.")).to_be_visible()
    one.page.route("**/nodes", lambda route: route.fulfill(json={"nodes": []}))
    one.turn_to("tasks")
    expect(one.page.get_by_text("There are no tasks yet. Give one a function")).to_be_visible()
    one.turn_to("nodes")
    expect(one.page.get_by_text("No node has joined yet.")).to_be_visible()
