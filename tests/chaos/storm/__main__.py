"""python -m storm: a storm over six nodes, its report, and whether everything held.

Ends with 0 if every invariant held, 1 if one was broken, 2 if all held and a target was
missed under --strict. What was seen stays in the folder; --judge reads it again.

It starts itself anew in a network namespace of its own where that is possible, so
that nodes can be cut off; where it is not, it says so and storms without partitions.
"""

import argparse
import json
import os
import shutil
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from platform import python_version
from typing import Any

from storm import report
from storm.act import Say, Script, play
from storm.evidence import Evidence, load
from storm.network import Cables, Network, OneHost, way_into_a_namespace
from storm.plan import ALL, WEIGHTS, Fault, Step, Terms, steps

INSIDE = "RINGFENCE__STORM_INSIDE"
NODES = 6
SHORT_TTL_SECONDS, SHORT_MARGIN_SECONDS = 5.0, 1.0
TTL_SECONDS, MARGIN_SECONDS = 15.0, 2.0  # what the product ships with
AWAY_SECONDS = 10.0
KILLS_IN_THE_LONG_FORM = 5


def main() -> int:
    given = _arguments()
    if given.figures:
        report.write_figures(given.figures, given.reports)
        return 0
    if given.judge:
        about = json.loads((given.judge / "report.json").read_text())["about"]
        return _tell([load(path) for path in sorted(given.judge.glob("*/evidence.json"))], given, about)
    if INSIDE not in os.environ:
        prefix, why_not = way_into_a_namespace()
        os.environ[INSIDE] = why_not
        if prefix:
            os.execvp(prefix[0], [*prefix, sys.executable, "-m", "storm", *sys.argv[1:]])
    return _storm(given, why_not=os.environ[INSIDE])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="storm", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--seed", type=int, default=1, help="the same seed, the same faults in the same order"
    )
    parser.add_argument("--runs", type=int, default=0, help="go on until so many runs; 0: each fault once")
    parser.add_argument(
        "--folder", type=Path, default=Path("var/chaos"), help="must not exist, or be a storm's"
    )
    parser.add_argument("--strict", action="store_true", help="a missed target is a failure, too")
    parser.add_argument("--judge", type=Path, metavar="FOLDER", help="only judge what a storm left there")
    parser.add_argument(
        "--figures", type=Path, metavar="DOCUMENT", help="only fill in the figures of reports"
    )
    parser.add_argument(
        "reports", type=Path, nargs="*", help="the report.json files for --figures, a column each"
    )
    return parser.parse_args()


def _storm(given: argparse.Namespace, why_not: str) -> int:
    # Whoever ends us leaves no node and no database behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    folder: Path = given.folder.absolute()
    for left in folder.glob("act-*"):
        shutil.rmtree(left)
    say = Say()
    say(
        f"seed {given.seed}; {'no partitions: ' + why_not if why_not else 'each node behind a cable of its own'}"
    )
    network: Network = OneHost() if why_not else Cables(NODES)
    acts: list[Evidence] = []
    try:
        for number, script in enumerate(_scripts(given, why_not), 1):
            acts.append(play(script, folder / f"act-{number}", network, say))
    finally:
        network.close()
    day = datetime.now(UTC).date().isoformat()
    about = {"seed": given.seed, "day": day, "machine": _machine(), "runs_wanted": given.runs}
    return _tell(acts, given, about)


def _scripts(given: argparse.Namespace, why_not: str) -> list[Script]:
    is_long = given.runs > 0
    weights = {
        kind: weight if is_long else 1
        for kind, weight in WEIGHTS.items()
        if kind != "partition" or not why_not
    }
    pause_seconds_max, rolled = (2.0, "all nodes") if is_long else (0.5, "three nodes")
    terms = Terms(NODES, SHORT_TTL_SECONDS, weights, pause_seconds_max, rolled)
    raging = Script(
        name="storm",
        seed=given.seed,
        nodes=NODES,
        ttl_seconds=SHORT_TTL_SECONDS,
        margin_seconds=SHORT_MARGIN_SECONDS,
        proof_of_death=True,
        steps=steps(given.seed, terms),
        steps_min=sum(weights.values()),
        partitions=f"impossible here, {why_not}" if why_not else "cut",
        runs_wanted=given.runs,
    )
    kills = steps(given.seed, Terms(NODES, TTL_SECONDS, {"node_killed": 1}))
    patient = [Step(1.0, True, (Fault("database_away", ALL, hold_seconds=AWAY_SECONDS),))]
    patient += [Step(1.0, True, next(kills).faults) for _ in range(KILLS_IN_THE_LONG_FORM if is_long else 1)]
    waiting = Script(
        name="by the lease alone",
        seed=given.seed,
        nodes=NODES,
        ttl_seconds=TTL_SECONDS,
        margin_seconds=MARGIN_SECONDS,
        proof_of_death=False,
        steps=patient,
        steps_min=len(patient),
        partitions="none in this act",
    )
    return [raging, waiting]


def _tell(acts: Sequence[Evidence], given: argparse.Namespace, about: dict[str, Any]) -> int:
    told = report.compile_report(acts, about)
    (given.judge or given.folder).joinpath("report.json").write_text(json.dumps(told, indent=1))
    print(f"\n{report.as_text(told)}", flush=True)
    if not told["is_clean"]:
        return 1
    return 2 if given.strict and not told["all_reached"] else 0


def _machine() -> str:
    """Where it was. A load above the number of processors means that others wanted them, too."""
    load = os.getloadavg()[2]
    return f"{os.cpu_count()} processors, load average {load:.0f}, Python {python_version()}"


if __name__ == "__main__":
    sys.exit(main())
