"""Reads from a database that has grown: ten million runs and ten million entries, `make growth`.

    python benchmarks/growth.py                   everything: some ten minutes, most of it making the rows
    python benchmarks/growth.py --rows 200000     a small one, to see that it works
    python benchmarks/growth.py --write-docs      also puts the figures into docs/scaling.md

Makes a PostgreSQL of its own (the embedded one, as shipped) below var/growth, fills
it by set-based SQL, starts one node on it with ten tasks that are not due, and asks
it over HTTP, one request after the other. Then it prunes some of what it made. All
is ended and removed when this ends, by Ctrl-C as well.

Exits with 0 if the 99th percentile of each read is below 50 ms, with 1 if not, with
2 if it could not be measured.

What it does not show: a database that is larger than the memory of its machine. Here
the system caches all of it.
"""

import argparse
import contextlib
import json
import logging
import shutil
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import structlog
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.apparatus import machine
from benchmarks.apparatus.children import BenchmarkError, Children, Program, wait_until_listed
from benchmarks.apparatus.grown import Sizes, check_disk, grow
from benchmarks.apparatus.http import Address
from benchmarks.apparatus.postgres import Database, Postgres
from benchmarks.report import document
from benchmarks.report.section import Section
from benchmarks.sections import growth
from benchmarks.sections.stage import note
from server.errors import RingfenceError

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "scaling.md"
READY = "Ringfence is ready"
START_SECONDS_MAX = 120.0


def main() -> int:
    """Parses, measures, reports."""
    arguments = _arguments()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends like Ctrl-C
    folder: Path = arguments.folder.resolve()
    try:
        result, facts = _measure(folder, arguments)
    except (BenchmarkError, RingfenceError, OSError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Interrupted; everything that was started has ended.", file=sys.stderr)
        return 130
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"\n{facts}\n\n{result.markdown()}")
    if arguments.json:
        arguments.json.write_text(json.dumps(result.as_object(), indent=2) + "\n", encoding="utf-8")
    if arguments.write_docs:
        text = DOCUMENT.read_text(encoding="utf-8")
        figures = f"{facts}\n\n{result.markdown()}"
        DOCUMENT.write_text(document.replace(text, result.name, figures), encoding="utf-8")
    return 0 if all(target.verdict == "reached" for target in result.targets) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Reads from a database that has grown.")
    parser.add_argument(
        "--rows", type=int, default=10_000_000, help="runs, and entries as well (default 10000000)"
    )
    parser.add_argument("--requests", type=int, default=300, help="of each kind of read (default 300)")
    parser.add_argument("--port", type=int, default=8480, help="the first of two ports (default 8480)")
    parser.add_argument("--json", type=Path, help="a file for every single time that was measured")
    parser.add_argument("--write-docs", action="store_true", help="put the figures into docs/scaling.md")
    parser.add_argument(
        "--folder",
        type=Path,
        default=ROOT / "var" / "growth",
        help="is made, and removed (default var/growth)",
    )
    found = parser.parse_args()
    if found.rows % 1_000 or not 100_000 <= found.rows <= 100_000_000:
        parser.error("--rows: expected a multiple of 1000 from 100000 to 100000000")
    if found.folder.exists():
        parser.error(f"--folder: {found.folder} exists; it would be removed at the end")
    return found


def _measure(folder: Path, arguments: argparse.Namespace) -> tuple[Section, str]:
    sizes = Sizes(arguments.rows, arguments.rows)
    folder.mkdir(parents=True)
    check_disk(folder, sizes)
    _check_ports(arguments.port)
    with Children() as children:
        postgres = Postgres(folder, children)
        postgres.start()
        database = postgres.ringfence_database("grown")
        facts = machine.line(machine.basics(database))
        if machine.is_busy():
            note("This machine is busy with something else.")
        grown = grow(database, sizes, note)
        with _node(children, folder, database, arguments.port) as address:
            return growth.measure(address, database, grown, sizes, arguments.requests), facts


def _check_ports(first: int) -> None:
    """Raises BenchmarkError now, and not after minutes of work, if one of the node's two ports is taken."""
    for port in (first, first + 1):
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError as error:
            raise BenchmarkError(f"port {port}: {error.strerror}; --port names others") from None


@contextlib.contextmanager
def _node(children: Children, folder: Path, database: Database, port: int) -> Iterator[Address]:
    """One node that knows the tasks of the history, none of which is due."""
    rests = {"function": "server.jobs.pi:estimate_pi", "every": "365d", "first": "scheduled"}
    settings = {
        "var": "node",
        "http": {"port": port},
        "database": {"url": database.application_url, "owner_url": database.owner_url},
        "cluster": {"instances": 1},
        "tasks": {f"task-{number}": rests for number in range(10)},
    }
    configuration = folder / "ringfence.yaml"
    configuration.write_text(yaml.dump(settings), encoding="utf-8")
    argv = [sys.executable, "-m", "server", "--config", str(configuration), "up"]
    log = folder / "log" / "ringfence.log"
    process = children.start(
        Program(argv, folder, log, {"PYTHONPATH": str(ROOT)}, end_signal=signal.SIGINT, seconds_max=60.0)
    )
    try:
        wait_until_listed(log, READY, process, START_SECONDS_MAX)
        yield Address("127.0.0.1", port + 1)
    finally:
        children.end(process)


if __name__ == "__main__":
    sys.exit(main())
