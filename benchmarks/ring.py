"""How long the hash ring takes, and how many tasks a change of one node moves.

    python benchmarks/ring.py            a few seconds
    python benchmarks/ring.py --large    with 1,000,000 tasks on 1,000 nodes: half a minute

"new" is a membership seen for the first time, "known" one whose points are
kept. Movement is given in multiples of the least that exact quotas allow: a
leaver's own tasks, or the share that a newcomer must get.
"""

import argparse
import sys
from collections import Counter
from pathlib import Path
from statistics import median
from time import perf_counter

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from server.cluster import ring

SIZES = [(10, 6, 200), (100, 6, 200), (1_000, 50, 20), (10_000, 100, 9)]
LARGE = (1_000_000, 1_000, 3)
CHANGES = [(10, 6, 200), (100, 6, 100), (1_000, 50, 10), (10_000, 100, 1)]
LEAVERS = 5


def milliseconds(tasks: list[str], nodes: dict[str, None]) -> float:
    begun = perf_counter()
    ring.assign(tasks, nodes)
    return (perf_counter() - begun) * 1000


def speed(tasks_count: int, nodes_count: int, rounds: int) -> tuple[float, float]:
    tasks = [f"task-{number}" for number in range(tasks_count)]
    nodes = dict.fromkeys(f"node-{number}" for number in range(nodes_count))
    new, known = [], []
    for _ in range(rounds):
        ring._points.cache_clear()
        ring._ring.cache_clear()
        new.append(milliseconds(tasks, nodes))
        known.append(milliseconds(tasks, nodes))
    return median(new), median(known)


def movement(tasks_count: int, nodes_count: int, memberships: int) -> tuple[float, float]:
    left = left_least = joined = joined_least = 0
    for series in range(memberships):
        tasks = [f"task-{series}-{number}" for number in range(tasks_count)]
        nodes = [f"node-{series}-{number}" for number in range(nodes_count)]
        before = ring.assign(tasks, dict.fromkeys(nodes))
        loads = Counter(before.values())
        joined += moved(before, ring.assign(tasks, dict.fromkeys([*nodes, f"new-{series}"])))
        joined_least += tasks_count // (nodes_count + 1)
        for leaver in nodes[:LEAVERS]:
            left += moved(before, ring.assign(tasks, dict.fromkeys(node for node in nodes if node != leaver)))
            left_least += loads[leaver]
    return left / left_least, joined / joined_least


def moved(before: dict[str, str], after: dict[str, str]) -> int:
    return sum(after[task] != node for task, node in before.items())


def main() -> None:
    parser = argparse.ArgumentParser(description="Speed and movement of the hash ring.")
    parser.add_argument("--large", action="store_true", help="with 1,000,000 tasks on 1,000 nodes")
    large = parser.parse_args().large
    print(f"{'tasks':>9} {'nodes':>6} {'new, ms':>11} {'known, ms':>11}   medians")
    for tasks, nodes, rounds in [*SIZES, LARGE] if large else SIZES:
        new, known = speed(tasks, nodes, rounds)
        print(f"{tasks:>9,} {nodes:>6,} {new:>11,.3f} {known:>11,.3f}   of {rounds}", flush=True)
    print(
        f"\n{'tasks':>9} {'nodes':>6} {'leave':>11} {'join':>11}   moved, in multiples of the least possible"
    )
    for tasks, nodes, memberships in CHANGES:
        leave, join = movement(tasks, nodes, memberships)
        print(f"{tasks:>9,} {nodes:>6,} {leave:>11.2f} {join:>11.2f}   {memberships} memberships", flush=True)


if __name__ == "__main__":
    main()
