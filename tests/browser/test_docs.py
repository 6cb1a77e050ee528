"""The interface in the browser: complete, under its strict policy, and without a request to anybody else."""

import json
from urllib.parse import urlsplit

from playwright.sync_api import expect


def test_the_interface_is_shown_and_can_be_tried_without_a_request_leaving_the_service(visit, cluster):
    # `visit` fails if the console complains, as it does of everything that the policy forbids.
    one = visit()
    asked: list[str] = []
    one.page.on("request", lambda request: asked.append(request.url))
    one.page.goto(f"{cluster.base}/docs")
    expect(one.page.get_by_role("heading", name="Ringfence")).to_be_visible()
    shown = one.page.locator(".opblock-summary-path")
    document = json.loads(one.page.request.get(f"{cluster.base}/openapi.json").text())
    expect(shown).to_have_count(sum(len(methods) for methods in document["paths"].values()))

    account = one.page.locator("#operations-money-getUsersUserId")
    account.locator(".opblock-summary").click()
    expect(account).to_contain_text("user_not_found")
    account.get_by_role("button", name="Try it out").click()
    account.get_by_placeholder("userId").fill("1")
    account.locator('tr[data-param-name="at"] input').fill("")
    account.get_by_role("button", name="Execute").click()
    expect(account.locator(".live-responses-table tbody .response-col_status").first).to_contain_text("200")
    expect(account.locator(".live-responses-table")).to_contain_text('"balance"')

    own = urlsplit(cluster.base).netloc
    assert {urlsplit(url).netloc for url in asked if not url.startswith("data:")} == {own}
