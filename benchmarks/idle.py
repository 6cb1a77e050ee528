"""What an instance costs while it has nothing to do: CPU and memory, beside the design's limits.

    python benchmarks/idle.py --url http://127.0.0.1:8000 --seconds 30

Measures every node of the running cluster that lives on this host: the node's
process together with its guardian. Job processes are not counted, and a node
that had a run during the measurement is shown and not judged.

CPU     user and system time from /proc/PID/stat, in percent of one core. The
        kernel counts in ticks of 10 ms: over 30 s one tick is 0.03 %.
RSS     pages in memory, those shared with other processes counted in each: the
        strictest reading, and the one that is judged.
PSS     the same, with each shared page divided by the number of its users: what
        one more instance really takes.

Exits with 0 if every judged node keeps the limits, with 1 if one doesn't or
none could be judged.
"""

import argparse
import json
import os
import socket
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CPU_PERCENT_MAX = 1.0
MEMORY_MIB_MAX = 100.0
CALL_SECONDS_MAX = 10.0
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
ROW = "{:<12} {:>8} {:>9} {:>9} {:>9}  {}"


class GoneError(Exception):
    """A process ended while it was measured."""


@dataclass(frozen=True)
class Sample:
    """One look at a node and its guardian. cpu_seconds: since each of them started."""

    pids: tuple[int, ...]
    at: float
    cpu_seconds: float
    rss_mib: float
    pss_mib: float


def main() -> int:
    parser = argparse.ArgumentParser(
        description="CPU and memory of idle instances, beside the design's limits."
    )
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="any node of the cluster")
    parser.add_argument("--seconds", type=float, default=30.0, help="how long to measure (default 30)")
    arguments = parser.parse_args()

    try:
        before = read_nodes(arguments.url)
        here = {node["name"]: node for node in before if node["host"] == socket.gethostname()}
        first = {name: sample(node["pid"]) for name, node in here.items()}
        print(f"measuring {len(first)} of {len(before)} nodes for {arguments.seconds:g} s", file=sys.stderr)
        time.sleep(arguments.seconds)
        last = {name: sample(node["pid"]) for name, node in here.items()}
        after = {node["name"]: node for node in read_nodes(arguments.url)}
    except (OSError, GoneError) as error:
        print(f"{arguments.url}: {error}", file=sys.stderr)
        return 1

    print(ROW.format("node", "CPU %", "RSS MiB", "PSS MiB", "processes", "verdict"))
    verdicts = [report(name, first[name], last[name], (here[name], after.get(name))) for name in sorted(here)]
    print(
        f"limits, node and guardian together: under {CPU_PERCENT_MAX:g} % of one core, "
        f"under {MEMORY_MIB_MAX:g} MiB RSS"
    )
    judged = [verdict for verdict in verdicts if verdict is not None]
    if not judged:
        print(
            "No node was idle. Pause the tasks, or wait until no run is left, and measure again.",
            file=sys.stderr,
        )
    return 0 if judged and all(judged) else 1


def read_nodes(url: str) -> list[dict[str, Any]]:
    """The members that are not dead, as GET /nodes tells them."""
    with urllib.request.urlopen(f"{url.rstrip('/')}/nodes", timeout=CALL_SECONDS_MAX) as answer:
        return [node for node in json.load(answer)["nodes"] if node["state"] != "dead"]


def report(
    name: str, first: Sample, last: Sample, members: tuple[dict[str, Any], dict[str, Any] | None]
) -> bool | None:
    """Prints one row; whether the node keeps the limits, or None if it was not idle."""
    before, after = members
    percent = 100 * (last.cpu_seconds - first.cpu_seconds) / (last.at - first.at)
    within: bool | None = percent < CPU_PERCENT_MAX and last.rss_mib < MEMORY_MIB_MAX
    verdict = "within the limits" if within else "ABOVE THE LIMITS"
    if after is None or before["incarnation"] != after["incarnation"] or first.pids != last.pids:
        within, verdict = None, "not judged: it started anew"
    elif before["runs"] or after["runs"]:
        within, verdict = None, f"not judged: it had {len({*before['runs'], *after['runs']})} runs"
    numbers = (f"{percent:.2f}", f"{last.rss_mib:.1f}", f"{last.pss_mib:.1f}", len(last.pids))
    print(ROW.format(name, *numbers, verdict))
    return within


def sample(node_pid: int) -> Sample:
    """Looks at a node and its direct children: its only child is its guardian; jobs are one level below."""
    pids = (node_pid, *children(node_pid))
    at = time.monotonic()
    cpu_seconds = sum(cpu_ticks(pid) for pid in pids) / TICKS_PER_SECOND
    memory = [memory_kib(pid) for pid in pids]
    return Sample(
        pids, at, cpu_seconds, sum(rss for rss, _ in memory) / 1024, sum(pss for _, pss in memory) / 1024
    )


def children(pid: int) -> list[int]:
    """Of every thread: a child belongs to the thread that started it."""
    lists = [read(task / "children") for task in Path(f"/proc/{pid}/task").iterdir()]
    return sorted(int(word) for text in lists for word in text.split())


def cpu_ticks(pid: int) -> int:
    """utime and stime; the times of children that ended (cutime, cstime) are jobs, and left out."""
    fields = read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def memory_kib(pid: int) -> tuple[int, int]:
    """RSS and PSS."""
    lines = read(Path(f"/proc/{pid}/smaps_rollup")).splitlines()[1:]
    sizes = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
    return sizes["Rss"], sizes["Pss"]


def read(path: Path) -> str:
    """A file of /proc."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        raise GoneError(f"{path}: the process has ended; is the cluster on this host?") from None
    except PermissionError:
        raise GoneError(f"{path}: run this as the user who runs the nodes") from None


if __name__ == "__main__":
    sys.exit(main())
