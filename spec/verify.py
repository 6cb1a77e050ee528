"""Checks the model of the lease protocol, and that each of its rules is needed.

    python3 spec/verify.py [--depth N]     all runs; exit code 1 if one is not as expected
    python3 spec/verify.py --show NO_WATCH the counterexample of one search, step by step

The model as it is must hold in every behaviour, be searched to the end, and reach
all that reached.pml names. With a rule taken out, the search must find an error.
Needs spin and gcc. Standard library alone, so that it runs before anything is installed.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from searches import DEPTH_DEFAULT, WHOLE, WITHOUT, Search

MODEL = Path(__file__).with_name("lease.pml")
RUN_SECONDS_MAX = 1800
STEPS_MAX = 10_000_000  # of one behaviour; reaching it counts as "not exhausted"
MEMORY_MIB_MAX = 5500  # of one search; the same
MEMORY_MIB_MAX_DEEP = 12_000

INVARIANTS = {
    "S1_two_runs_overlap": "S1",
    "S2_due_task_not_started": "S2",
    "S3_start_without_ending": "S3",
    "S5_result_of_another": "S5",
    "index_violated": "index",
}


@dataclass(frozen=True)
class Finding:
    """What a search told."""

    search: Search
    states: int
    seconds: float
    broken: str | None
    unfinished: str | None
    reached: dict[str, int]

    @property
    def fault(self) -> str | None:
        """Why this is not what was expected; None if it is."""
        if self.broken != self.search.breaks:
            return self.unfinished if not self.broken and self.unfinished else "see --show"
        if self.unfinished and not self.broken:
            return self.unfinished
        if self.search.faults_max == DEPTH_DEFAULT and not self.search.breaks:
            missed = [place for place, times in self.reached.items() if times == 0]
            if missed or not self.reached:
                return f"never reached: {', '.join(missed) or 'anything'}"
        return None


def build(search: Search, folder: Path) -> None:
    """Makes the program that searches; raises CalledProcessError with what went wrong."""
    memory = MEMORY_MIB_MAX if search.faults_max <= DEPTH_DEFAULT or search.breaks else MEMORY_MIB_MAX_DEEP
    how = [
        "-DSAFETY",
        "-DNOREDUCE",
        f"-DMEMLIM={memory}",
        *(["-DBFS"] if search.breaks and search.shortest else []),
    ]
    for command in (
        ["spin", "-a", *search.flags, str(MODEL)],
        ["gcc", "-O1" if search.breaks else "-O2", "-w", *how, "-o", "pan", "pan.c"],
    ):
        subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)


def run(search: Search, folder: Path) -> Finding:
    """Builds and searches in an empty folder, where the trail stays."""
    build(search, folder)
    began = time.monotonic()
    try:
        told = subprocess.run(
            ["./pan", f"-m{STEPS_MAX}"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS_MAX,
            check=False,
        ).stdout
    except subprocess.TimeoutExpired:
        told = f"pan: not exhausted within {RUN_SECONDS_MAX} s"
    return judge(search, told, time.monotonic() - began)


def judge(search: Search, told: str, seconds: float) -> Finding:
    """Reads what the search printed."""
    states = re.search(r"(\S+) states, stored", told)
    broken = re.search(r"assertion violated\s+!\((\w+)\)", told)
    other = re.search(r"pan:\d*:? ?(invalid end state|assertion violated.*)", told)
    unfinished = re.search(
        r"max search depth too small|MEMLIM|out of memory|not exhausted.*|Search not completed", told
    )
    invariant = INVARIANTS.get(broken[1], broken[1]) if broken else (other[1] if other else None)
    return Finding(
        search,
        int(float(states[1])) if states else 0,
        seconds,
        invariant,
        unfinished[0] if unfinished else (None if states else "the search told nothing"),
        {place: int(times) for times, place in re.findall(r"^REACHED (\d+) (.+)$", told, re.MULTILINE)},
    )


def run_apart(search: Search) -> Finding:
    """run() in a folder that is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="lease-") as folder:
        return run(search, Path(folder))


def report(finding: Finding) -> Finding:
    """Prints one line of the table."""
    search = finding.search
    found = finding.broken or finding.unfinished or "nothing"
    verdict = "as expected" if finding.fault is None else f"NOT AS EXPECTED: {finding.fault}"
    print(
        f"{search.name:<18}{search.what:<43}{search.faults_max:>6}"
        f"{finding.states:>12,}{finding.seconds:>7.1f}  {found}, {verdict}",
        flush=True,
    )
    return finding


def verify(depth: int, cores: int) -> int:
    """Runs everything and prints a table; the exit code."""
    searches = [search for search in WHOLE if search.faults_max <= depth] + WITHOUT
    print(f"{'search':<18}{'what is searched, or taken out':<43}{'faults':>6}{'states':>12}{'s':>7}  found")
    # A deep search may take all the memory that there is.
    with ThreadPoolExecutor(1 if depth > DEPTH_DEFAULT else cores) as pool:
        # The longest stand first and last, and are begun first.
        begun = {search.name: pool.submit(run_apart, search) for search in (searches[0], *searches[:0:-1])}
        findings = [report(begun[search.name].result()) for search in searches]
    print("\nhow often the first search reached")
    for place, times in findings[0].reached.items():
        print(f"{times:>12,}  {place}")
    return 1 if any(finding.fault for finding in findings) else 0


def show(name: str) -> int:
    """Prints the counterexample that one search finds."""
    known = {search.name: search for search in [*WHOLE, *WITHOUT]}
    if name not in known:
        print(f"{name}: one of {', '.join(known)}", file=sys.stderr)
        return 2
    # As if an error were expected: then names are kept and the shortest way is looked for.
    search = replace(known[name], breaks=known[name].breaks or "an error")
    with tempfile.TemporaryDirectory(prefix="lease-") as folder:
        finding = run(search, Path(folder))
        print(f"{search.name}, {search.what}: {finding.broken or finding.unfinished or 'nothing found'}\n")
        told = subprocess.run(
            ["spin", "-t", "-T", "-k", f"{MODEL.name}.trail", *search.flags, str(MODEL)],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        ).stdout
    before = ""
    for line in told.splitlines():
        if "assertion violated" in line:
            break  # what follows is the rest of the step in which it broke
        if re.match(r"(FAULT|CALM|node \d|database|task \d|tick)\b", line) and line != before:
            print(line)
            before = line
    return 0 if finding.broken else 1


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--depth", type=int, default=DEPTH_DEFAULT, help="faults at most in searches of the model: 2, 3 or 4"
    )
    parser.add_argument("--show", metavar="SWITCH", help="print the counterexample of one search")
    arguments = parser.parse_args()
    missing = [program for program in ("spin", "gcc") if shutil.which(program) is None]
    if missing:
        print(f"{' and '.join(missing)} not found: apt install spin gcc libc6-dev", file=sys.stderr)
        return 2
    try:
        return (
            show(arguments.show) if arguments.show else verify(arguments.depth, min(2, os.cpu_count() or 1))
        )
    except subprocess.CalledProcessError as error:
        print(f"{error.cmd[0]} failed:\n{error.stdout}{error.stderr}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
