"""One cluster and one browser for all tests of the page; each test has a page of its own."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from benchmarks.apparatus.browser import launched
from browser.shared_door import NODES, SharedDoor

DEADLINE_MILLISECONDS = 20_000
WIDE = {"width": 1280, "height": 900}
expect.set_options(timeout=DEADLINE_MILLISECONDS)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Fails, and says what to install, where there is no Chromium."""
    with launched() as one:
        yield one


@pytest.fixture(scope="package")
def cluster(database_of_the_package, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedDoor]:
    """Three nodes behind one door; tests leave it as they found it."""
    one = SharedDoor(tmp_path_factory.mktemp("door"), database_of_the_package.application_url)
    one.database = database_of_the_package
    try:
        one.start(*range(1, NODES + 1))
        one.wait_ready()
        yield one
    finally:
        one.close()


class Visit:
    """A page that somebody has open, with all that its console said."""

    def __init__(self, page: Page, base: str) -> None:
        self.page = page
        self.base = base
        self.complaints: list[str] = []
        page.set_default_timeout(DEADLINE_MILLISECONDS)
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))

    def _heard(self, message: Any) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(f"{message.type}: {message.text} {message.location}")

    def open(self, view: str = "ring") -> Page:
        """Opens a view and waits until the page is live."""
        self.page.goto(f"{self.base}/#{view}")
        expect(self.page.locator("#link")).to_have_attribute("data-state", "live")
        expect(self.page.locator(f'.view[data-view="{view}"]')).to_be_visible()
        return self.page

    def turn_to(self, view: str) -> None:
        self.page.locator(f'.views a[data-view="{view}"]').click()
        expect(self.page.locator(f'.view[data-view="{view}"]')).to_be_visible()


@pytest.fixture
def visit(browser: Browser, cluster: SharedDoor) -> Iterator[Callable[..., Visit]]:
    """Opens visits. No error and no warning may be in the console of any when the test ends."""
    opened: list[Visit] = []

    def make(base: str | None = None, **context: Any) -> Visit:
        settings = {"viewport": WIDE, "reduced_motion": "no-preference", **context}
        opened.append(Visit(browser.new_context(**settings).new_page(), base or cluster.base))
        return opened[-1]

    yield make
    complaints = [complaint for one in opened for complaint in one.complaints]
    for one in opened:
        one.page.context.close()
    assert complaints == []


@pytest.fixture
def page(visit) -> Page:
    """The page with its ring, live."""
    return visit().open()
