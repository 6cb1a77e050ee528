"""Ringfence beside what a Python user would take instead, when a worker dies: `make failover`.

    python benchmarks/failover.py                  everybody: some 45 minutes, nearly all of it waiting
    python benchmarks/failover.py --quick          everybody, with misfortunes shorter than most leases:
                                                   to see that it works, no figures to quote
    python benchmarks/failover.py --only a,d       two of the contestants
    python benchmarks/failover.py --write-docs     also puts the figures into docs/failover.md

docs/failover.md explains the contestants, the story and the figures. Exits with
0 if Ringfence kept what it promises, whatever the others did; with 1 if not;
with 2 if it could not be measured.

Everything runs on loopback, below var/bench, and has ended when this ends, by
Ctrl-C as well. Ports from --port to --port + 20 must be free.
"""

import argparse
import contextlib
import json
import logging
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path

import structlog

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.apparatus import machine, redis
from benchmarks.apparatus.children import BenchmarkError, Children
from benchmarks.apparatus.contestants import Ground
from benchmarks.apparatus.postgres import Postgres
from benchmarks.apparatus.schedulers import Scheduler
from benchmarks.report import document
from benchmarks.report.failover import Entrant, Findings, section
from benchmarks.report.section import Section
from benchmarks.sections.failover import QUICK, Timing, tell
from benchmarks.sections.rivals import rivals
from server.errors import RingfenceError

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "failover.md"
RESULTS = "failover.json"
PACKAGES = ("procrastinate", "pgqueuer", "apscheduler", "celery")


@dataclass(frozen=True)
class Field:
    """All contestants, and what they run on."""

    schedulers: list[Scheduler]
    facts: dict[str, str]


def main() -> int:
    """Parses, measures, reports."""
    arguments = _arguments()
    # Each migrated database is told about, which would stand between the figures.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends like Ctrl-C
    folder: Path = arguments.folder.resolve()
    try:
        with _field(folder, arguments.port) as field:
            wanted = _wanted(arguments.only, field.schedulers)
            print(machine.line(field.facts), flush=True)
            if machine.is_busy():
                print("  This machine is busy with something else.", file=sys.stderr)
            for result in _measure(field, wanted, QUICK if arguments.quick else Timing()):
                _write_results(result, folder)
    except (BenchmarkError, RingfenceError, OSError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Interrupted; everything that was started has ended.", file=sys.stderr)
        return 130
    print(f"\n{result.markdown()}\n\nWritten: {folder / RESULTS}")
    if arguments.write_docs:
        _write_document(result, field.facts)
    return 1 if result.wrong else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Ringfence beside other schedulers, when a worker dies.")
    parser.add_argument("--only", default="", metavar="LETTERS", help="some of the contestants, such as a,d")
    parser.add_argument("--quick", action="store_true", help="short misfortunes, to see that it works")
    parser.add_argument("--write-docs", action="store_true", help="put the figures into docs/failover.md")
    parser.add_argument("--port", type=int, default=8500, help="the first port (default 8500)")
    parser.add_argument(
        "--folder", type=Path, default=ROOT / "var" / "bench", help="for what is written (default var/bench)"
    )
    return parser.parse_args()


def _wanted(only: str, schedulers: list[Scheduler]) -> set[str]:
    """The letters of those to measure. Raises BenchmarkError for one that nobody has."""
    known = {one.letter for one in schedulers}
    wanted = set(only.split(",")) if only else known
    if wanted - known:
        raise BenchmarkError(f"--only: {', '.join(sorted(wanted - known))}: expected some of a to h")
    return wanted


@contextlib.contextmanager
def _field(folder: Path, port: int) -> Iterator[Field]:
    """PostgreSQL, and who will run on it; all is ended after it."""
    folder.mkdir(parents=True, exist_ok=True)
    with Children() as children:
        postgres = Postgres(folder, children)
        postgres.start()
        facts = machine.basics(postgres.empty_database("failover_facts"))
        yield Field(rivals(Ground(folder, port, children), postgres), facts | _versions())


def _measure(field: Field, wanted: set[str], timing: Timing) -> Iterator[Section]:
    """Tells the story of each in turn, and what is known after each; whoever breaks it is a row
    that says so."""
    entrants = [Entrant(one.letter, one.name, one.lease, one.missing) for one in field.schedulers]
    found: dict[str, Findings] = {}
    for place, scheduler in enumerate(field.schedulers):
        if not scheduler.missing and scheduler.letter in wanted:
            try:
                found[scheduler.letter] = tell(scheduler, timing)
            except BenchmarkError as error:
                if scheduler.letter == "a":
                    raise
                why = f"the story broke off, {str(error).splitlines()[0]}"
                entrants[place] = replace(entrants[place], missing=why)
        yield section(entrants, found, field.facts)


def _write_results(result: Section, folder: Path) -> None:
    """After each contestant, so that an interrupted run leaves what it had."""
    (folder / RESULTS).write_text(json.dumps(result.as_object(), indent=2) + "\n", encoding="utf-8")


def _versions() -> dict[str, str]:
    """The contestants' own; their order is that of the tables."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "missing"
    return versions | {"Redis": redis.version()}


def _write_document(result: Section, facts: dict[str, str]) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    figures = f"{machine.line(facts)}\n\n{result.markdown()}"
    DOCUMENT.write_text(document.replace(text, result.name, figures), encoding="utf-8")
    print(f"Written: {DOCUMENT}")


if __name__ == "__main__":
    sys.exit(main())
