"""Takes the pictures of the page that the README shows: docs/screenshots, in light and dark.

    python benchmarks/screenshots.py               a minute and a half
    python benchmarks/screenshots.py --folder /tmp/shots --all   every view at 360, 1280 and 2560 pixels

Runs a service of its own below var/bench for a while, with tasks that are no work but
look like it, kills one instance, so that there is something to see on the timeline, and
runs the burst.
"""

import argparse
import json
import os
import shutil
import signal
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import yaml
from playwright.sync_api import Browser, Page

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.apparatus.browser import launched
from benchmarks.apparatus.children import BenchmarkError, Children, Program, wait_until_listed

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "screenshots"
READY = "Ringfence is ready"
VIEWS = ("ring", "tasks", "timeline", "nodes", "money", "events")
SHOWN = ("ring", "tasks", "timeline", "money")
SCHEMES = ("light", "dark")
WIDTHS = {360: 760, 1280: 820, 2560: 1300}
WARM_SECONDS = 60
AFTER_KILL_SECONDS = 25
DRAW_SECONDS = 2.5
JOB = """
def work(context, seconds, message):
    steps = int(seconds * 2)
    for step in range(steps):
        context.progress(step, steps, f"{step} of {steps} {message}")
        context.sleep(seconds / steps)

def fails(context, seconds):
    context.sleep(seconds)
    raise OSError(28, "No space left on device", "sort.tmp")
"""
TASKS: dict[str, dict[str, Any]] = {
    "reconcile_ledger": {"every": "50s", "params": {"seconds": 30, "message": "accounts compared"}},
    "balance_snapshot": {"every": "1m", "params": {"seconds": 12, "message": "balances read"}},
    "ledger_statistics": {
        "cron": "*/2 * * * *", "timezone": "Europe/Berlin", "first": "now",
        "params": {"seconds": 25, "message": "hours counted"},
    },
    "hash_ring_spread": {"every": "30s", "params": {"seconds": 9, "message": "memberships tried"}},
    "sieve_primes": {"every": "3m", "params": {"seconds": 110, "message": "segments sieved"}},
    "estimate_pi": {"every": "20s", "params": {"seconds": 5, "message": "points thrown"}},
    "sort_large_file": {"function": "shown:fails", "every": "40s", "params": {"seconds": 6}},
    "compress_logs": {
        "cron": "0 9 * * *", "timezone": "Europe/Berlin", "first": "now",
        "params": {"seconds": 5, "message": "logs packed"},
    },
    "check_bloat": {"every": "25s", "params": {"seconds": 11, "message": "tables measured"}},
    "prune_history": {"every": "15m", "timeout": "8s", "params": {"seconds": 30, "message": "rows deleted"}},
}  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description="Takes the pictures of the page.")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--all", action="store_true", help="every view at three widths")
    parser.add_argument("--port", type=int, default=8500, help="the first of the ports (default 8500)")
    arguments = parser.parse_args()
    home = ROOT / "var" / "bench" / "screenshots"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    url = f"http://127.0.0.1:{arguments.port}"
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends like Ctrl-C
    try:
        with Children() as children, launched() as browser:
            start(children, home, arguments.port)
            time.sleep(WARM_SECONDS)
            kill_one(url)
            time.sleep(AFTER_KILL_SECONDS)
            for scheme in SCHEMES:
                take(browser, url, scheme, arguments)
    except (BenchmarkError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def start(children: Children, home: Path, port: int) -> None:
    """Returns when the service is ready."""
    settings = {
        "http": {"port": port},
        "cluster": {"instances": 4},
        "tasks": {name: {"function": "shown:work"} | task for name, task in TASKS.items()},
    }
    (home / "shown.py").write_text(JOB, encoding="utf-8")
    configuration = home / "config.yaml"
    configuration.write_text(yaml.safe_dump(settings), encoding="utf-8")
    argv = [sys.executable, "-m", "server", "--config", str(configuration), "up"]
    environment = {"PYTHONPATH": str(ROOT)}
    log = home / "up.log"
    process = children.start(
        Program(argv, home, log, environment, end_signal=signal.SIGINT, seconds_max=60.0)
    )
    wait_until_listed(log, READY, process, 120.0)


def kill_one(url: str) -> None:
    """Kills the node that runs most."""
    with urllib.request.urlopen(f"{url}/nodes", timeout=10) as answer:
        nodes = json.load(answer)["nodes"]
    os.kill(max(nodes, key=lambda node: len(node["runs"]))["pid"], signal.SIGKILL)


def take(browser: Browser, url: str, scheme: str, arguments: argparse.Namespace) -> None:
    """The pictures of one scheme."""
    for width, height in WIDTHS.items() if arguments.all else [(1280, WIDTHS[1280])]:
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)  # type: ignore[arg-type]
        page = context.new_page()
        for view in VIEWS if arguments.all else SHOWN:
            show(page, url, view, is_wide=width > 600)
            name = f"{view}-{scheme}.png" if not arguments.all else f"{view}-{width}-{scheme}.png"
            page.screenshot(path=str(arguments.folder / name))
        context.close()
    if not arguments.all:
        context = browser.new_context(viewport={"width": 360, "height": WIDTHS[360]}, color_scheme=scheme)  # type: ignore[arg-type]
        page = context.new_page()
        show(page, url, "ring", is_wide=False)
        page.screenshot(path=str(arguments.folder / f"phone-{scheme}.png"))
        context.close()


def show(page: Page, url: str, view: str, *, is_wide: bool) -> None:
    """Opens a view and lets it come to rest."""
    page.goto(f"{url}/#{view}")
    page.locator(f'.view[data-view="{view}"]').wait_for()
    if view == "money":
        page.get_by_role("button", name="Run the burst").click()
        page.locator(".verdict .mark").wait_for()
        page.evaluate("document.activeElement.blur()")
    if view == "ring" and is_wide:
        page.locator('[data-task="hash_ring_spread"]').hover()
    time.sleep(DRAW_SECONDS)
    page.evaluate("document.querySelectorAll('.toast').forEach((toast) => toast.remove())")


if __name__ == "__main__":
    sys.exit(main())
