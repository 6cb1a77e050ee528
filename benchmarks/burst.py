"""Ringfence beside other servers, on this machine, in one run: the program behind `make bench`.

    python benchmarks/burst.py                     everything: an hour
    python benchmarks/burst.py --quick             everything, small: a few minutes, and no figures to quote
    python benchmarks/burst.py --only burst,lone   two of the sections
    python benchmarks/burst.py --write-docs        also puts the figures into docs/benchmarks.md

docs/benchmarks.md explains every section, contestant and target. Exits with 0
if all arithmetic was exact, whether or not targets were reached; with 1 if any
was off; with 2 if it could not be measured.

Everything runs on loopback, below var/bench, and has ended when this ends, by
Ctrl-C as well. Ports from --port to --port + 50 must be free.
"""

import argparse
import contextlib
import json
import logging
import resource
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import structlog

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.apparatus import h2load, machine
from benchmarks.apparatus.books import Books
from benchmarks.apparatus.children import BenchmarkError, Children
from benchmarks.apparatus.contestants import Ground
from benchmarks.apparatus.postgres import Postgres
from benchmarks.report import chart, document
from benchmarks.report.figures import Spread
from benchmarks.report.section import Section
from benchmarks.sections import batches, bulk, crowd, exactness, lone, scaling, sustained
from benchmarks.sections.stage import QUICK, Sizes, Stage
from server.errors import RingfenceError

ROOT = Path(__file__).resolve().parents[1]
SECTIONS: dict[str, Callable[[Stage], Section]] = {
    "burst": crowd.measure,
    "lone": lone.measure,
    "sustained": sustained.measure,
    "bulk": bulk.measure,
    "batches": batches.measure,
    "scaling": scaling.measure,
    "exact": exactness.measure,
}
DOCUMENT = ROOT / "docs" / "benchmarks.md"
CHART = "benchmarks.svg"
RUNS = 5
SPARE_DESCRIPTORS = 200


def main() -> int:
    """Parses, measures, reports."""
    arguments = _arguments()
    names = arguments.only.split(",") if arguments.only else list(SECTIONS)
    unknown = set(names) - set(SECTIONS)
    if unknown:
        print(
            f"--only: {', '.join(sorted(unknown))}: expected some of {', '.join(SECTIONS)}", file=sys.stderr
        )
        return 2
    # Each migrated database is told about, which would stand between the figures.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends like Ctrl-C
    folder: Path = arguments.folder.resolve()
    results: list[Section] = []
    try:
        _check(QUICK if arguments.quick else Sizes())
        with _stage(arguments, folder) as stage:
            facts = machine.describe(stage.books)
            print(machine.line(facts), flush=True)
            if machine.is_busy():
                print(
                    "  This machine is busy with something else: don't quote these figures.", file=sys.stderr
                )
            for name in names:
                section = SECTIONS[name](stage)
                results.append(section)
                print(f"\n## {name}\n\n{section.markdown()}", flush=True)
                _write_results(folder, facts, results)
    except (BenchmarkError, RingfenceError, OSError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Interrupted; everything that was started has ended.", file=sys.stderr)
        return 130
    print(f"\nWritten: {folder / 'results.json'}")
    if arguments.write_docs:
        _write_document(facts, results)
    return 1 if any(section.wrong for section in results) else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Ringfence beside other servers, on this machine.")
    parser.add_argument(
        "--runs", type=int, default=0, help=f"alternating runs (default {RUNS}, with --quick 1)"
    )
    parser.add_argument("--only", default="", metavar="SECTIONS", help=f"some of {','.join(SECTIONS)}")
    parser.add_argument("--quick", action="store_true", help="small numbers, to see that it works")
    parser.add_argument("--write-docs", action="store_true", help="put the figures into docs/benchmarks.md")
    parser.add_argument("--port", type=int, default=8400, help="the first port (default 8400)")
    parser.add_argument(
        "--folder", type=Path, default=ROOT / "var" / "bench", help="for what is written (default var/bench)"
    )
    arguments = parser.parse_args()
    arguments.runs = arguments.runs or (1 if arguments.quick else RUNS)
    return arguments


def _check(sizes: Sizes) -> None:
    """Raises BenchmarkError for what would only fail later."""
    if not h2load.is_here():
        raise BenchmarkError(h2load.MISSING)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = sizes.connections_max + SPARE_DESCRIPTORS
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise BenchmarkError(
            f"{sizes.connections_max:,} connections need {needed:,} open files, the hard limit is {hard:,}: "
            f"sudo prlimit --pid $$ --nofile={needed}:{needed}"
        )
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


@contextlib.contextmanager
def _stage(arguments: argparse.Namespace, folder: Path) -> Iterator[Stage]:
    """PostgreSQL with fresh databases; all is ended after it."""
    folder.mkdir(parents=True, exist_ok=True)
    with Children() as children:
        postgres = Postgres(folder, children)
        postgres.start()
        yield Stage(
            ground=Ground(folder, arguments.port, children),
            postgres=postgres,
            books=Books(postgres.ringfence_database("benchmark")),
            peer_books=Books(postgres.peers_database("benchmark_peers")),
            runs=arguments.runs,
            sizes=QUICK if arguments.quick else Sizes(),
        )


def _write_results(folder: Path, facts: dict[str, str], results: list[Section]) -> None:
    """After each section, so that an interrupted run leaves what it had."""
    sections = {section.name: section.as_object() for section in results}
    text = json.dumps({"machine": facts, "sections": sections}, indent=2)
    (folder / "results.json").write_text(text + "\n", encoding="utf-8")
    for section in results:
        if section.name == "burst":
            (folder / CHART).write_text(_chart(section, facts), encoding="utf-8")


def _write_document(facts: dict[str, str], results: list[Section]) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    for section in results:
        figures = f"{machine.line(facts)}\n\n{section.markdown()}"
        if section.name == "burst":
            DOCUMENT.with_name(CHART).write_text(_chart(section, facts), encoding="utf-8")
            figures = f"![{section.data['title']}]({CHART})\n\n{figures}"
        text = document.replace(text, section.name, figures)
    DOCUMENT.write_text(text, encoding="utf-8")
    print(f"Written: {DOCUMENT}")


def _chart(section: Section, facts: dict[str, str]) -> str:
    bars = [
        chart.Bar(one["name"], Spread.of(one["rates"]) if one["rates"] else None, one["ours"], one["missing"])
        for one in section.data["chart"]
    ]
    runs = section.data["runs"]
    subtitle = (
        f"runs: {runs}, bar to their median, line over their span; {facts['processor']}; {facts['measured']}"
    )
    return chart.draw(section.data["title"], subtitle, bars)


if __name__ == "__main__":
    sys.exit(main())
