"""How smooth the page is in a large cluster: its longest pieces of work, its memory, its first moment.

    python benchmarks/page.py                      60 nodes, 1,000 tasks, 50 events a second, ten minutes
    python benchmarks/page.py --seconds 60         a short one

Runs one instance on an embedded PostgreSQL of its own below var/bench, fills the database
as so many nodes would, and opens the page in Chromium. It turns from view to view, and in
each measures the pieces of work that held up the browser (the Long Tasks API, which tells
those of 50 ms and more), how long the processor worked on the longest of all, and the
memory that is left after a collection of garbage. Exits with 1 if the processor worked
100 ms or more on a piece, or if memory grew by a quarter from the round in which all that
the page keeps (2,000 events, 2,500 runs) was full to the last.

By the clock a piece takes longer where browser, service, database and those who make the
events have to share two cores, so that figure is printed beside the load and not judged.

What it does not show: a browser on a slow machine, and the time that the network takes.
"""

import argparse
import os
import shutil
import signal
import sys
import time
from pathlib import Path

import yaml
from playwright.sync_api import Page

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.apparatus.browser import Burden, Meter, launched
from benchmarks.apparatus.children import BenchmarkError, Children, Program, wait_until_listed
from benchmarks.apparatus.crowd import Crowd
from server.postgres.embedded import EmbeddedServer
from server.settings import load as load_settings

ROOT = Path(__file__).resolve().parents[1]
VIEWS = ("ring", "tasks", "timeline", "nodes", "money", "events")
TASK_MS_MAX = 100.0
GROWTH_MAX = 1.25
LOAD_MS_MAX = 200.0
SETTLE_SECONDS = 3.0
FULL_SECONDS = 120.0
"""After so long the page keeps as many events and runs as it ever does."""
READY = "Ringfence is ready"


def main() -> int:
    parser = argparse.ArgumentParser(description="How smooth the page is in a large cluster.")
    parser.add_argument("--seconds", type=float, default=600.0, help="how long to watch (default 600)")
    parser.add_argument("--nodes", type=int, default=60)
    parser.add_argument("--tasks", type=int, default=1000)
    parser.add_argument("--events", type=int, default=50, help="a second (default 50)")
    parser.add_argument("--port", type=int, default=8480, help="the first of the ports (default 8480)")
    arguments = parser.parse_args()
    folder = ROOT / "var" / "bench" / "page"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends like Ctrl-C
    try:
        with Children() as children:
            crowd = start(children, folder, arguments)
            with crowd.busy(arguments.events):
                return watch(f"http://127.0.0.1:{arguments.port}", arguments.seconds)
    except (BenchmarkError, OSError) as error:
        print(error, file=sys.stderr)
        return 2


def start(children: Children, folder: Path, arguments: argparse.Namespace) -> Crowd:
    """Returns when the service is ready and its database is full."""
    configuration = folder / "config.yaml"
    settings = {"http": {"port": arguments.port}, "cluster": {"instances": 1}, "tasks": {}}
    configuration.write_text(yaml.safe_dump(settings), encoding="utf-8")
    argv = [sys.executable, "-m", "server", "--config", str(configuration), "up"]
    log = folder / "up.log"
    environment = {"PYTHONPATH": str(ROOT)}
    process = children.start(
        Program(argv, folder, log, environment, end_signal=signal.SIGINT, seconds_max=60.0)
    )
    wait_until_listed(log, READY, process, 120.0)
    url = EmbeddedServer(folder / "var").application_url
    crowd = Crowd(url, load_settings(str(configuration)), arguments.nodes, arguments.tasks)
    crowd.fill()
    return crowd


def watch(url: str, seconds: float) -> int:
    """Turns from view to view for so long; 0 if all limits are kept."""
    rounds: list[dict[str, Burden]] = []
    with launched() as browser:
        page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
        meter = Meter(page)
        loads = [first_moment(page, url) for _ in range(5)]
        each = max(2.0, min(10.0, seconds / len(VIEWS) / 2))
        began = time.monotonic()
        full = 0  # the round in which the page was full, or the second one of a shorter measurement
        while time.monotonic() < began + seconds or len(rounds) < 2:
            full += time.monotonic() < began + FULL_SECONDS
            rounds.append({})
            for view in VIEWS:
                page.locator(f'.views a[data-view="{view}"]').click()
                meter.begin()
                time.sleep(each)
                rounds[-1][view] = meter.burden()
    return report(rounds, min(full, len(rounds) - 1), sorted(loads)[len(loads) // 2])


def first_moment(page: Page, url: str) -> float:
    """Milliseconds from the request to the whole ring; what the browser kept counts."""
    page.goto(url)
    page.locator("[data-task]").first.wait_for()
    time.sleep(SETTLE_SECONDS)
    return float(page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd"))


def report(rounds: list[dict[str, Burden]], full: int, load_ms: float) -> int:
    """Prints the figures; 0 if all limits are kept."""
    print(f"load average {', '.join(f'{load:.2f}' for load in os.getloadavg())}, {os.cpu_count()} cores")
    print(
        f"{'view':>10} {'longest piece':>14} {'processor':>10} {'elements':>9} "
        f"{'memory first':>13} {'memory last':>12}"
    )
    for view in VIEWS:
        first, last = rounds[0][view], rounds[-1][view]
        longest = max(one[view].longest_task_ms for one in rounds)
        work = max(one[view].longest_work_ms for one in rounds)
        print(
            f"{view:>10} {longest:>11.0f} ms {work:>7.0f} ms {last.elements:>9} "
            f"{first.heap_mib:>9.1f} MiB {last.heap_mib:>8.1f} MiB"
        )
    longest = max(one.longest_task_ms for turn in rounds for one in turn.values())
    work = max(one.longest_work_ms for turn in rounds for one in turn.values())
    base, end = rounds[full], rounds[-1]
    growth = max(end[view].heap_mib / base[view].heap_mib for view in VIEWS)
    print(f"loaded in {load_ms:.0f} ms, limit {LOAD_MS_MAX:g} ms")
    print(f"longest piece of work {longest:.0f} ms by the clock, with what it waited for a processor")
    print(f"most work of the processor on one piece {work:.0f} ms, limit {TASK_MS_MAX:g} ms")
    print(f"memory after {len(rounds)} rounds {growth:.2f} times, limit {GROWTH_MAX:g} times")
    return 0 if work < TASK_MS_MAX and growth < GROWTH_MAX and load_ms < LOAD_MS_MAX else 1


if __name__ == "__main__":
    sys.exit(main())
