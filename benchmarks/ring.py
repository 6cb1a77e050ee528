"""How long the hash ring takes, and how many tasks a change of one node moves.

    python benchmarks/ring.py            a few seconds
    python benchmarks/ring.py --large    with 1,000,000 tasks on 1,000 nodes: a minute
    python benchmarks/ring.py --schemes  other schemes beside it, on all pairs: two minutes

"new" is a membership seen for the first time, "known" one whose points are
kept. Movement is given in multiples of the least that exact quotas allow: a
leaver's own tasks, or the share that a newcomer must get.
"""

import argparse
import sys
from collections import Counter
from pathlib import Path
from statistics import median
from time import process_time

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ring_schemes import SCHEMES, Scheme

from server.cluster import ring

SIZES = [(10, 6, 200), (100, 6, 200), (1_000, 50, 20), (10_000, 100, 9)]
LARGE = (1_000_000, 1_000, 3)
CHANGES = [(10, 6, 200), (100, 6, 100), (1_000, 50, 10), (10_000, 100, 1)]
SCHEME_CHANGES = [(100, 6, 100), (1_000, 50, 10)]
LEAVERS = 5


def milliseconds(tasks: list[str], nodes: dict[str, None]) -> float:
    """Of processor time, which others on the machine change less than they change a stopwatch."""
    begun = process_time()
    ring.assign(tasks, nodes)
    return (process_time() - begun) * 1000


def speed(tasks_count: int, nodes_count: int, rounds: int) -> tuple[float, float]:
    tasks = [f"task-{number}" for number in range(tasks_count)]
    nodes = dict.fromkeys(f"node-{number}" for number in range(nodes_count))
    new, known = [], []
    for _ in range(rounds):
        ring._points.cache_clear()
        new.append(milliseconds(tasks, nodes))
        known.append(milliseconds(tasks, nodes))
    return median(new), median(known)


def movement(
    tasks_count: int, nodes_count: int, memberships: int, assign: Scheme = ring.assign
) -> tuple[float, float]:
    left = left_least = joined = joined_least = 0
    for series in range(memberships):
        tasks = [f"task-{series}-{number}" for number in range(tasks_count)]
        nodes = [f"node-{series}-{number}" for number in range(nodes_count)]
        before = assign(tasks, dict.fromkeys(nodes))
        loads = Counter(before.values())
        joined += moved(before, assign(tasks, dict.fromkeys([*nodes, f"new-{series}"])))
        joined_least += tasks_count // (nodes_count + 1)
        for leaver in nodes[:LEAVERS]:
            left += moved(before, assign(tasks, dict.fromkeys(node for node in nodes if node != leaver)))
            left_least += loads[leaver]
    return left / left_least, joined / joined_least


def moved(before: dict[str, str], after: dict[str, str]) -> int:
    return sum(after[task] != node for task, node in before.items())


def compare_schemes() -> None:
    for tasks, nodes, memberships in SCHEME_CHANGES:
        print(f"{tasks:,} tasks on {nodes} nodes: leave, join, mean in multiples of the least possible")
        for name, assign, why in [("ring.py", ring.assign, ""), *SCHEMES]:
            leave, join = movement(tasks, nodes, memberships, assign)
            print(f"{name:<36}{leave:6.2f}{join:6.2f}{(leave + join) / 2:6.2f}   {why}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Speed and movement of the hash ring.")
    parser.add_argument("--large", action="store_true", help="with 1,000,000 tasks on 1,000 nodes")
    parser.add_argument("--schemes", action="store_true", help="the movement of other schemes")
    arguments = parser.parse_args()
    if arguments.schemes:
        compare_schemes()
    else:
        measure_ring([*SIZES, LARGE] if arguments.large else SIZES)


def measure_ring(sizes: list[tuple[int, int, int]]) -> None:
    print(f"{'tasks':>9} {'nodes':>6} {'new, ms':>11} {'known, ms':>11}   medians")
    for tasks, nodes, rounds in sizes:
        new, known = speed(tasks, nodes, rounds)
        print(f"{tasks:>9,} {nodes:>6,} {new:>11,.3f} {known:>11,.3f}   of {rounds}", flush=True)
    print("\nmoved, in multiples of the least possible")
    print(f"{'tasks':>9} {'nodes':>6} {'leave':>11} {'join':>11} {'mean':>11}")
    for tasks, nodes, memberships in CHANGES:
        leave, join = movement(tasks, nodes, memberships)
        figures = f"{leave:>11.2f} {join:>11.2f} {(leave + join) / 2:>11.2f}"
        print(f"{tasks:>9,} {nodes:>6,} {figures}   {memberships} memberships", flush=True)


if __name__ == "__main__":
    main()
