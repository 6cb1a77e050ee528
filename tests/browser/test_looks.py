"""How the page feels: to a screen reader, by keyboard, at any width, in any zone, in both schemes."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

VIEWS = ("ring", "tasks", "timeline", "nodes", "money", "events")
SERIOUS = {"serious", "critical"}


def faults(page) -> list[str]:
    """What axe finds that is serious."""
    found = Axe().run(page).response["violations"]
    return [
        f"{one['id']}: {[node['html'][:120] for node in one['nodes'][:3]]}"
        for one in found
        if one["impact"] in SERIOUS
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_in_any_view(visit, scheme):
    one = visit(color_scheme=scheme, reduced_motion="reduce")
    page = one.open()
    background = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert (sum(map(int, background[4:-1].split(","))) < 200) == (scheme == "dark")
    for view in VIEWS:
        one.turn_to(view)
        assert faults(page) == [], view
    one.turn_to("tasks")
    page.get_by_role("button", name="steady-1", exact=True).click()
    expect(page.get_by_role("dialog", name="steady-1")).to_contain_text("Rank by hash")
    assert faults(page) == []
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Pause: steady-1").click()
    assert faults(page) == []


@pytest.mark.parametrize("width", [360, 2560])
def test_nothing_is_wider_than_the_window(visit, width):
    one = visit(viewport={"width": width, "height": 900})
    page = one.open()
    for view in VIEWS:
        one.turn_to(view)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), view
        if width == 360 and view in {"tasks", "timeline"}:  # whose forms are others there
            assert faults(page) == [], view


def test_everything_can_be_done_by_keyboard_alone(visit, cluster):
    page = visit().open()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    focused = "document.activeElement.dataset.task"
    while not page.evaluate(focused):
        page.keyboard.press("Tab")
    first = page.evaluate(focused)
    expect(page.locator("#ring-tip")).to_contain_text(first)
    page.keyboard.press("ArrowRight")
    second = page.evaluate(focused)
    assert second and second != first
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name=second)
    expect(dialog).to_contain_text("Why it is where it is")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    assert page.evaluate(focused) == second
    page.keyboard.press("Tab")
    assert not page.evaluate(focused), "the ring is one stop of the Tab key"


def test_the_timeline_goes_from_run_to_run_and_zooms_by_keyboard(visit):
    page = visit().open("timeline")
    page.locator('[data-run][tabindex="0"]').focus()
    first = page.evaluate("document.activeElement.dataset.run")
    before = page.locator(".tools p").text_content()
    page.keyboard.press("ArrowDown")
    second = page.evaluate("document.activeElement.dataset.run")
    assert second and second != first
    page.keyboard.press("0")
    page.keyboard.press("+")
    page.keyboard.press("+")
    expect(page.locator(".tools p")).not_to_have_text(before)
    page.keyboard.press("0")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name=f"Run {second}")).to_be_visible()


def test_times_are_in_the_zone_of_the_reader_or_in_utc(visit):
    page = visit(timezone_id="Asia/Kathmandu").open("events")
    shown = page.locator(".event-row .event > span").first
    here = shown.text_content()
    page.get_by_role("button", name="Times are in your time zone").click()
    expect(page.locator("#zone")).to_have_text("UTC")
    there = shown.text_content()
    minutes = [int(text[:2]) * 60 + int(text[3:5]) for text in (here, there)]
    assert (minutes[0] - minutes[1]) % 1440 == 5 * 60 + 45
    page.reload()
    expect(page.locator("#zone")).to_have_text("UTC")


def test_a_wrong_clock_of_the_reader_changes_no_countdown(visit, cluster):
    right, wrong = visit(), visit()
    wrong.page.add_init_script("const now = Date.now; Date.now = () => now() - 7_200_000;")
    texts = []
    for one in (right, wrong):
        page = one.open("tasks")
        expect(page.locator("li.task").filter(has_text="steady-1")).to_contain_text("Next in ")
        texts.append(page.locator("li.task").filter(has_text="steady-1").locator(".c-next p").text_content())
    minutes = [int(re.search(r"in (\d+) min", text).group(1)) for text in texts]
    assert abs(minutes[0] - minutes[1]) <= 1


def test_shapes_and_words_say_what_colours_say(visit):
    page = visit().open("timeline")
    for status in ("succeeded", "failed", "timed out", "cancelled", "interrupted", "lost", "running"):
        expect(page.locator(".legend").get_by_text(status, exact=True)).to_be_visible()
    patterns = page.locator("pattern .figure").evaluate_all("all => all.map(one => one.getAttribute('d'))")
    assert len(set(patterns)) == 5


def test_on_a_phone_no_button_is_cut_off_whatever_the_names_and_times(visit, cluster):
    page = visit(viewport={"width": 360, "height": 760}).page
    long = "a_task_whose_name_goes_on_and_on_beyond_whatever_fits_on_a_line"
    found = cluster.get("/tasks?durations=30")
    task = next(task for task in found["tasks"] if task["name"] == "steady-0")
    assert task["running"]
    task["name"] = long
    task["nextRunAt"] = "2027-11-28T06:00:00Z"
    task["lastRun"] = {"id": 1, "status": "interrupted", "durationSeconds": 7_345.0, "finishedAt": None}
    page.route("**/tasks?durations=30", lambda route: route.fulfill(json={"tasks": [task]}))
    page.goto(f"{cluster.base}/#tasks")
    row = page.locator("li.task")
    expect(row.get_by_role("progressbar")).to_be_visible()
    box = row.bounding_box()
    for button in row.get_by_role("button").all():
        place = button.bounding_box()
        assert place["y"] + place["height"] <= box["y"] + box["height"]
        assert place["x"] + place["width"] <= box["x"] + box["width"]
        assert place["height"] >= 24
    row.get_by_role("button", name="Cancel").click()
    for button in page.get_by_role("dialog").get_by_role("button").all():
        expect(button).to_be_in_viewport(ratio=1)


def test_on_a_phone_every_mark_of_the_ring_can_be_hit(visit):
    page = visit(viewport={"width": 360, "height": 760}).open()
    for mark in page.locator("[data-task] .reach").all():
        assert min(mark.bounding_box()["width"], mark.bounding_box()["height"]) >= 24


def test_beside_an_open_dialog_a_result_is_seen_and_heard(visit, cluster):
    page = visit().open("tasks")
    page.get_by_role("button", name="paused", exact=True).click()
    dialog = page.get_by_role("dialog", name="paused")
    dialog.get_by_role("button", name="Pause").click()
    page.get_by_role("button", name="Pause it").click()
    # All outside of a dialog is inert: hidden from a screen reader.
    expect(dialog.get_by_role("status")).to_contain_text("paused is paused.")
    expect(dialog.locator(".toast")).to_contain_text("paused is paused.")
    dialog.get_by_role("button", name="Resume").click()
    expect(dialog.get_by_role("button", name="Pause")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("body > [role=status]")).to_contain_text("paused goes on with its schedule.")
    assert not cluster.task("paused")["paused"]
