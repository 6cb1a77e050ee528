"""Signing in where tokens are needed: the right one, a wrong one, and one without the right."""

import signal
import subprocess

import pytest
from fleet import wait_until
from playwright.sync_api import expect

from server.access import administration
from server.access.administration import Wanted

GUARDED = 4


@pytest.fixture(scope="module")
def guarded(cluster):
    """The address of one more node, which lets nobody in without a token."""
    token(cluster, "admin")  # without any it would not start
    door = cluster.stdin
    cluster.variables["RINGFENCE_SECURITY__TOKENS"] = "required"
    cluster.stdin = subprocess.DEVNULL
    try:
        cluster.start(GUARDED)
    finally:
        cluster.variables.clear()
        cluster.stdin = door
    wait_until(lambda: cluster.is_ready(GUARDED), 60, "the guarded node ready")
    yield f"http://127.0.0.1:{cluster.port + GUARDED}"
    cluster.signal(GUARDED, signal.SIGINT)
    cluster.wait_for_end(GUARDED, 30)


def token(cluster, *scopes: str) -> str:
    wanted = Wanted(scopes=scopes, name=f"test of {scopes[0]}")
    return administration.create(cluster.database.owner_url, wanted).token


def sign_in(page, text: str) -> None:
    page.locator("#main").get_by_role("button", name="Sign in").click()
    page.get_by_label("Token").fill(text)
    page.get_by_role("dialog").get_by_role("button", name="Sign in").click()


def signed_out(visit, base: str):
    page = visit(base).page
    page.goto(base)
    expect(page.locator("#boot")).to_contain_text("You are signed out")
    expect(page.locator("#link-text")).to_have_text("Signed out")
    return page


def test_who_has_a_token_signs_in_looks_acts_and_signs_out(visit, cluster, guarded):
    page = signed_out(visit, guarded)
    sign_in(page, token(cluster, "read", "operate"))
    expect(page.locator("#link-text")).to_have_text("Live")
    expect(page.locator("[data-task]").first).to_be_visible()
    expect(page.locator("#session")).to_contain_text("test of read")
    assert page.evaluate("document.cookie") == ""
    page.locator('.views a[data-view="tasks"]').click()
    row = page.locator("li.task").filter(has=page.get_by_role("button", name="paused", exact=True))
    row.get_by_role("button", name="Pause: paused").click()
    page.get_by_role("button", name="Pause it").click()
    row.get_by_role("button", name="Resume: paused").click()
    expect(page.locator("#live")).to_contain_text("paused goes on with its schedule.")
    page.get_by_role("button", name="Sign out").click()
    expect(page.locator("#boot")).to_contain_text("You are signed out")
    expect(page.locator('.view[data-view="tasks"]')).to_be_hidden()


def test_a_wrong_token_is_told_and_nothing_is_shown(visit, guarded):
    page = signed_out(visit, guarded)
    sign_in(page, "rf_wrong")
    expect(page.get_by_role("alert")).to_have_text("This token is not valid, or has expired.")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.get_by_role("button", name="Not now").click()
    expect(page.locator("#boot")).to_contain_text("You are signed out")
    assert page.locator("[data-task]").count() == 0


def test_a_token_without_the_right_says_which_one_it_lacks(visit, cluster, guarded):
    page = signed_out(visit, guarded)
    sign_in(page, token(cluster, "read"))
    page.locator('.views a[data-view="tasks"]').click()
    button = page.get_by_role("button", name="Run now: short")
    expect(button).to_have_attribute("title", "Your token lacks the right operate.")
    expect(button).to_have_attribute("aria-disabled", "true")
    before = cluster.task("short")["lastRun"]
    button.click(force=True)
    expect(page.locator(".toast").last).to_contain_text("Your token lacks the right operate.")
    page.locator('.views a[data-view="money"]').click()
    page.get_by_role("button", name="Run the burst").click()
    expect(page.locator(".toast").last).to_contain_text("Your token lacks the right money.")
    assert cluster.task("short")["lastRun"] == before
    assert cluster.task("short")["running"] is None


def test_a_token_that_may_not_look_is_told_so(visit, cluster, guarded):
    page = signed_out(visit, guarded)
    sign_in(page, token(cluster, "money"))
    expect(page.locator("#boot")).to_contain_text("It lacks the right read")
