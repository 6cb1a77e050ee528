"""How late tasks start while the cluster is at rest: started_at - scheduled_for, on the database's clock.

    python benchmarks/lateness.py                        six instances, 30 tasks, two minutes
    python benchmarks/lateness.py --seconds 20 --tasks 10

Runs `ringfence up` on an embedded PostgreSQL of its own below var/bench, with tasks
that are due every five seconds, spread over these five by their jitter, and do
nothing. The first runs of all, at the start of the service, are not counted: they
wait until the membership has settled. Prints the quantiles and exits with 1 if the
99th percentile is not below the design's limit of one second.

What it does not show: a machine that is busy, where the processes of jobs wait for a
processor, and an instance that dies just before a tick, which waits for its heir.
"""

import argparse
import json
import shutil
import signal
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.apparatus.children import BenchmarkError, Children, Program, wait_until_listed

ROOT = Path(__file__).resolve().parents[1]
LIMIT_SECONDS = 1.0
PERIOD_SECONDS = 5
START_SECONDS_MAX = 120.0
READY = "Ringfence is ready"
JOB = "def rest(context):\n    return None\n"


def main() -> int:
    parser = argparse.ArgumentParser(description="How late tasks start while the cluster is at rest.")
    parser.add_argument("--seconds", type=float, default=120.0, help="how long to watch (default 120)")
    parser.add_argument("--tasks", type=int, default=30, help="how many tasks (default 30)")
    parser.add_argument("--instances", type=int, default=6, help="how many instances (default 6)")
    parser.add_argument("--port", type=int, default=8460, help="the first of the ports (default 8460)")
    arguments = parser.parse_args()
    folder = ROOT / "var" / "bench" / "lateness"
    shutil.rmtree(folder, ignore_errors=True)  # of an earlier run, whose history would be counted
    folder.mkdir(parents=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends like Ctrl-C
    try:
        with Children() as children:
            start(children, folder, arguments)
            time.sleep(arguments.seconds)
            runs = list(read_runs(f"http://127.0.0.1:{arguments.port}"))
    except (BenchmarkError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return report(runs, arguments)


def start(children: Children, folder: Path, arguments: argparse.Namespace) -> None:
    """Returns when the service is ready."""
    task = {"function": "resting:rest", "every": PERIOD_SECONDS, "jitter": PERIOD_SECONDS}
    settings = {
        "http": {"port": arguments.port},
        "cluster": {"instances": arguments.instances},
        "tasks": {f"task-{number}": task for number in range(arguments.tasks)},
    }
    (folder / "resting.py").write_text(JOB, encoding="utf-8")
    configuration = folder / "config.yaml"
    configuration.write_text(yaml.safe_dump(settings), encoding="utf-8")
    argv = [sys.executable, "-m", "server", "--config", str(configuration), "up"]
    log = folder / "up.log"
    environment = {"PYTHONPATH": str(ROOT)}
    process = children.start(
        Program(argv, folder, log, environment, end_signal=signal.SIGINT, seconds_max=60.0)
    )
    wait_until_listed(log, READY, process, START_SECONDS_MAX)


def read_runs(url: str) -> Iterator[dict[str, Any]]:
    """Every run of the history, the newest first."""
    cursor = ""
    while True:
        with urllib.request.urlopen(f"{url}/runs?limit=1000{cursor}", timeout=30) as answer:
            page = json.load(answer)
        yield from page["runs"]
        if page["next"] is None:
            return
        cursor = f"&cursor={page['next']}"


def report(runs: list[dict[str, Any]], arguments: argparse.Namespace) -> int:
    """Prints the quantiles; 0 if the limit is kept."""
    firsts = {min(run["id"] for run in runs if run["task"] == task) for task in {run["task"] for run in runs}}
    counted = [run for run in runs if run["trigger"] == "schedule" and run["id"] not in firsts]
    if not counted:
        print("No run began by its schedule: watch for longer.", file=sys.stderr)
        return 2
    seconds = sorted(run["latenessSeconds"] for run in counted)
    print(f"{len(seconds)} runs of {arguments.tasks} tasks on {arguments.instances} instances, at rest")
    for name, share in (("median", 0.5), ("p90", 0.9), ("p99", 0.99), ("largest", 1.0)):
        print(f"{name:>8} {quantile(seconds, share) * 1000:9.1f} ms late")
    kept = quantile(seconds, 0.99) < LIMIT_SECONDS
    print(f"limit: p99 below {LIMIT_SECONDS:g} s, {'kept' if kept else 'NOT KEPT'}")
    return 0 if kept else 1


def quantile(ordered: list[float], share: float) -> float:
    """The smallest value that so large a share of them does not exceed."""
    return ordered[max(0, -(-len(ordered) * int(share * 1000) // 1000) - 1)]


if __name__ == "__main__":
    sys.exit(main())
