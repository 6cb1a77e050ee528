"""A real browser, and what it says of the page that is open in it."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

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
TRACED = "toplevel"  # each piece of work of each thread, and nothing of what is in it
POLL_MS = 20
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
    """What the page costs its browser.

    heap_mib: after a collection of garbage. longest_task_ms: by the clock, so with what the page
    waited for a processor. longest_work_ms: the most that the processor worked on one piece.
    """

    heap_mib: float
    elements: int
    longest_task_ms: float
    longest_work_ms: float


class Meter:
    """Measures one page, between begin() and burden()."""

    def __init__(self, page: Page) -> None:
        page.add_init_script(WATCH_LONG_TASKS)
        self.page = page
        self._session: CDPSession = page.context.new_cdp_session(page)
        self._session.send("Performance.enable")
        self._trace: list[dict[str, Any]] = []
        self._is_told = False
        self._session.on("Tracing.dataCollected", lambda told: self._trace.extend(told["value"]))
        self._session.on("Tracing.tracingComplete", lambda _: self._tell())

    def begin(self) -> None:
        """Leaves out what was until now."""
        self._trace.clear()
        self._is_told = False
        self._session.send("Tracing.start", {"categories": TRACED})
        self.page.evaluate("window.longTasks = []")

    def burden(self) -> Burden:
        """What it costs now, and the longest pieces of work since begin()."""
        longest = float(self.page.evaluate("Math.max(0, ...window.longTasks)"))
        self._session.send("Tracing.end")
        while not self._is_told:
            self.page.wait_for_timeout(POLL_MS)
        self._session.send("HeapProfiler.collectGarbage")
        found = {one["name"]: one["value"] for one in self._session.send("Performance.getMetrics")["metrics"]}
        elements = int(self.page.evaluate("document.querySelectorAll('*').length"))
        return Burden(found["JSHeapUsedSize"] / MIB, elements, longest, longest_work_ms(self._trace))

    def _tell(self) -> None:
        self._is_told = True


def longest_work_ms(trace: list[dict[str, Any]]) -> float:
    """Of the threads that draw pages, in a trace of Chromium: its times are microseconds."""
    drawing = {
        (event["pid"], event["tid"])
        for event in trace
        if event["name"] == "thread_name" and event["args"]["name"] == "CrRendererMain"
    }
    worked = (
        event.get("tdur", 0)
        for event in trace
        if event["name"].endswith("RunTask") and (event["pid"], event["tid"]) in drawing
    )
    return max(worked, default=0) / 1000
