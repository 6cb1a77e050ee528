"""A real browser, and what it says of the page that is open in it."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from playwright.sync_api import Browser, CDPSession, Page, sync_playwright

from benchmarks.apparatus.children import BenchmarkError

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
# Runs before the page: keeps every piece of work that held up the browser.
WATCH_LONG_TASKS = """
window.longTasks = [];
new PerformanceObserver((list) => {
  for (const one of list.getEntries()) window.longTasks.push(one.duration);
}).observe({type: 'longtask', buffered: true});
"""
MIB = 1024 * 1024


def program() -> str:
    """Chromium's. Raises BenchmarkError where there is none."""
    found = os.environ.get("RINGFENCE__CHROMIUM") or next(filter(None, map(shutil.which, PROGRAMS)), None)
    if found is None:
        raise BenchmarkError("Chromium is needed: apt install chromium, or RINGFENCE__CHROMIUM=/path")
    return found


@contextmanager
def launched() -> Iterator[Browser]:
    """A browser of our own, ended afterwards."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program(), args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


@dataclass(frozen=True)
class Burden:
    """What the page costs its browser. heap_mib: after a collection of garbage."""

    heap_mib: float
    elements: int
    longest_task_ms: float


class Meter:
    """Measures one page."""

    def __init__(self, page: Page) -> None:
        page.add_init_script(WATCH_LONG_TASKS)
        self.page = page
        self._session: CDPSession = page.context.new_cdp_session(page)
        self._session.send("Performance.enable")

    def forget(self) -> None:
        """Leaves out what was until now."""
        self.page.evaluate("window.longTasks = []")

    def burden(self) -> Burden:
        """What it costs now, and the longest piece of work since forget()."""
        longest = float(self.page.evaluate("Math.max(0, ...window.longTasks)"))
        self._session.send("HeapProfiler.collectGarbage")
        found = {one["name"]: one["value"] for one in self._session.send("Performance.getMetrics")["metrics"]}
        elements = int(self.page.evaluate("document.querySelectorAll('*').length"))
        return Burden(found["JSHeapUsedSize"] / MIB, elements, longest)
