"""What an operator does on the page, and is told of it."""

import re

import pytest
from fleet import wait_until
from playwright.sync_api import expect


def row(page, name: str):
    return page.locator("li.task").filter(has=page.get_by_role("button", name=name, exact=True))


@pytest.fixture
def tasks(visit):
    return visit().open("tasks")


def toast(page, text: str) -> None:
    expect(page.locator(".toast").filter(has_text=text)).to_be_visible()
    expect(page.locator("#live")).to_contain_text(text)


def test_a_run_is_seen_from_its_start_to_its_end_with_progress(tasks, cluster):
    short = row(tasks, "short")
    bars = short.locator(".spark rect").count()
    expect(short).to_contain_text("every hour")
    expect(short).to_contain_text("Next in ")
    short.get_by_role("button", name="Run now: short").click()
    toast(tasks, "short is due now")
    bar = short.get_by_role("progressbar")
    expect(bar).to_have_attribute("aria-valuetext", "working")
    seen = set()
    wait_until(
        lambda: seen.add(bar.get_attribute("aria-valuenow")) or len(seen - {None}) >= 2, 20, "progress"
    )
    expect(short).to_contain_text("left · working")
    expect(short.locator(".c-next")).to_contain_text("succeeded")
    expect(short.locator(".spark rect")).to_have_count(bars + 1)
    run = cluster.task("short")["lastRun"]["id"]
    tasks.locator('.views a[data-view="timeline"]').click()
    tasks.locator(f'[data-run="{run}"]').click()
    dialog = tasks.get_by_role("dialog", name=f"Run {run}")
    expect(dialog).to_contain_text("worked 3.0")
    expect(dialog).to_contain_text("succeeded")
    expect(dialog).to_contain_text("somebody, by hand")
    tasks.keyboard.press("Escape")
    expect(dialog).to_have_count(0)


def test_pausing_is_asked_for_once_more_and_resuming_is_not(tasks, cluster):
    paused = row(tasks, "paused")
    paused.get_by_role("button", name="Pause: paused").click()
    tasks.get_by_role("button", name="Keep as it is").click()
    expect(tasks.get_by_role("dialog")).to_have_count(0)
    assert not cluster.task("paused")["paused"]
    paused.get_by_role("button", name="Pause: paused").click()
    tasks.get_by_role("button", name="Pause it").click()
    toast(tasks, "paused is paused.")
    expect(paused.locator(".c-next")).to_contain_text("Paused")
    assert cluster.task("paused")["paused"]
    tasks.get_by_label("Which tasks").select_option("paused")
    expect(tasks.locator("li.task")).to_have_count(1)
    paused.get_by_role("button", name="Resume: paused").click()
    toast(tasks, "paused goes on with its schedule.")
    expect(tasks.get_by_text("No task is like that.")).to_be_visible()
    assert not cluster.task("paused")["paused"]


def test_a_run_is_cancelled_after_one_more_question(tasks, cluster):
    long = row(tasks, "long")
    long.get_by_role("button", name="Run now: long").click()
    long.get_by_role("button", name="Cancel: long").click()
    run = cluster.task("long")["running"]["runId"]
    expect(tasks.get_by_role("dialog")).to_contain_text(f"Cancel run {run} of long?")
    tasks.get_by_role("button", name="Cancel the run").click()
    toast(tasks, f"Run {run} of long is asked to stop.")
    expect(long.locator(".c-next")).to_contain_text("cancelled")
    assert cluster.get(f"/runs/{run}")["status"] == "cancelled"


def test_what_is_refused_is_told_with_its_reason(visit, cluster):
    page = visit().open("tasks")
    page.locator("li.task").first.wait_for()
    # Somebody else is quicker: the page does not know yet when the button is pressed.
    page.route("**/tasks/long/run", lambda route: (cluster.post("/tasks/long/pause"), route.continue_()))
    row(page, "long").get_by_role("button", name="Run now: long").click()
    toast(page, "Task long is paused; resume it first.")
    cluster.post("/tasks/long/resume")


def test_what_jobs_say_is_text_and_never_markup(tasks, cluster):
    markup = row(tasks, "markup")
    markup.get_by_role("button", name="Run now: markup").click()
    expect(markup).to_contain_text("<img src=x onerror=")
    expect(markup.locator(".c-next")).to_contain_text("failed")
    tasks.get_by_role("button", name="markup", exact=True).click()
    tasks.get_by_role("dialog", name="markup").locator("ul button").first.click()
    run = cluster.task("markup")["lastRun"]["id"]
    dialog = tasks.get_by_role("dialog", name=f"Run {run}")
    expect(dialog.get_by_label("Error and traceback")).to_contain_text("<b>bold</b>")
    expect(dialog.get_by_label("Error and traceback")).to_contain_text("Traceback")
    expect(dialog.get_by_label("Output")).to_contain_text("<img src=x")
    assert tasks.locator("img[src=x], dialog b").count() == 0
    assert "owned" not in tasks.title()


def test_the_burst_is_drawn_and_exact(visit, cluster):
    page = visit().open("money")
    page.get_by_role("button", name="Run the burst").click()
    expect(page.locator(".verdict")).to_contain_text(
        "Exact: 5,000 succeeded, 5,000 were refused, and the balance is 0."
    )
    assert page.get_by_role("meter", name="Succeeded").get_attribute("aria-valuenow") == "5000"
    line = page.locator("figure").filter(has_text="Balance").locator("path.line").get_attribute("d")
    heights = [float(y) for y in re.findall(r"[ML]\d+ ([\d.]+)", line)]
    assert len(heights) > 100
    assert heights == sorted(heights), "a balance that only falls is drawn so"
    account = int(page.locator("#account").input_value())
    assert cluster.get(f"/users/{account}")["balance"] == 0
    expect(page.locator(".balance")).to_have_text("0")
    expect(page.locator("tbody tr")).to_have_count(12)
    page.get_by_role("button", name="Older entries").click()
    expect(page.locator("tbody tr")).to_have_count(24)
    for title in ("Withdrawals", "Refusals", "Batch size"):
        chart = page.locator("figure").filter(has_text=title).locator("svg")
        expect(chart).not_to_have_attribute("aria-label", f"{title}: now 0 a second; at most 0 in this time")
    expect(page.locator(".charts")).to_contain_text("withdrawals in this minute")
    page.locator("#account").fill("987654321")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.get_by_text("There is no user 987654321")).to_be_visible()
