"""What many nodes cost one PostgreSQL when they do nothing but be nodes: `make control`.

    python benchmarks/control_plane.py                    10, 50, 100 and 200 nodes: some five minutes
    python benchmarks/control_plane.py --nodes 10,20 --seconds 5      small, to see that it works
    python benchmarks/control_plane.py --nodes 100,200,400
    python benchmarks/control_plane.py --eager            every node reads all tasks at every event
    python benchmarks/control_plane.py --write-docs       also puts the figures into docs/scaling.md

Light nodes (apparatus/light_node.py) register, beat once a second, listen, hash again at
each change, start and end short runs, over three real connections each. They live in
two processes. PostgreSQL is the embedded one as shipped, but for `max_connections`, below
var/control, which is removed at the end.

Measured: heartbeats from the question to the answer; notifications from the moment that
PostgreSQL wrote into them, before the commit, until a listener had them; the processors
that PostgreSQL kept busy (/proc); how long after a change of the membership the last node
knew it. Exits with 0, or with 2 if it could not be measured.

What it does not show: a network, and nodes with processors of their own. All share one
machine, so that with many nodes the light nodes themselves are what is slow.
"""

import argparse
import json
import logging
import resource
import shutil
import signal
import sys
from pathlib import Path

import structlog

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.apparatus import machine
from benchmarks.apparatus.children import BenchmarkError, Children
from benchmarks.apparatus.postgres import Postgres
from benchmarks.report import document
from benchmarks.report.control import Level, section
from benchmarks.report.section import Section
from benchmarks.sections import control
from benchmarks.sections.control import CONNECTIONS_A_NODE, Shape
from benchmarks.sections.stage import note
from server.errors import RingfenceError

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "scaling.md"
NODES_MAX = 1_000
SPARE = 50
"""Connections and files beyond those of the nodes."""


def main() -> int:
    """Parses, measures, reports."""
    arguments = _arguments()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends like Ctrl-C
    folder: Path = arguments.folder.resolve()
    levels: list[Level] = []
    try:
        facts = _measure(folder, arguments, levels)
    except (BenchmarkError, RingfenceError, OSError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Interrupted; everything that was started has ended.", file=sys.stderr)
        return 130
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    result = section(levels)
    print(f"\n{facts}\n\n{result.markdown()}")
    if arguments.json:
        arguments.json.write_text(json.dumps(control.as_object(levels), indent=2) + "\n", encoding="utf-8")
    if arguments.write_docs:
        _write_document(result, facts)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Many nodes on one PostgreSQL, without their work.")
    parser.add_argument("--nodes", default="10,50,100,200", help="how many, one after the other")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long each is watched (default 20)")
    parser.add_argument("--tasks", type=int, default=1, help="for each node (default 1)")
    parser.add_argument(
        "--period", type=float, default=20.0, help="seconds between runs of a task (default 20)"
    )
    parser.add_argument("--eager", action="store_true", help="every node reads all tasks at every event")
    parser.add_argument("--json", type=Path, help="a file for all figures")
    parser.add_argument("--write-docs", action="store_true", help="put the figures into docs/scaling.md")
    parser.add_argument(
        "--folder",
        type=Path,
        default=ROOT / "var" / "control",
        help="is made, and removed (default var/control)",
    )
    found = parser.parse_args()
    found.levels = [int(word) for word in found.nodes.split(",")]
    if not all(1 <= nodes <= NODES_MAX for nodes in found.levels):
        parser.error(f"--nodes: expected numbers from 1 to {NODES_MAX}, with commas between them")
    if found.folder.exists():
        parser.error(f"--folder: {found.folder} exists; it would be removed at the end")
    return found


def _measure(folder: Path, arguments: argparse.Namespace, levels: list[Level]) -> str:
    connections = CONNECTIONS_A_NODE * max(arguments.levels) + SPARE
    _, files_max = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files_max < 2 * connections:
        raise BenchmarkError(f"{2 * connections} open files are wanted, {files_max} are allowed (ulimit -n)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (2 * connections, files_max))
    folder.mkdir(parents=True)
    shape = Shape(arguments.seconds, arguments.tasks, arguments.period, arguments.eager)
    with Children() as children:
        postgres = Postgres(folder, children)
        postgres.configure(f"max_connections = {connections}")
        postgres.start()
        facts = machine.line(machine.basics(postgres.empty_database("control_facts")))
        if machine.is_busy():
            note("This machine is busy with something else.")
        levels.extend(control.measure(postgres, arguments.levels, shape))
    each = f"{shape.tasks_a_node} a node, each run every {shape.period_seconds:g} s"
    return f"{facts} Tasks: {each}. Watched for {shape.seconds:g} s."


def _write_document(result: Section, facts: str) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    figures = f"{facts}\n\n{result.markdown()}"
    DOCUMENT.write_text(document.replace(text, result.name, figures), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
