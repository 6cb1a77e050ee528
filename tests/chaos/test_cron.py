"""The cron service while nodes, jobs, connections and the database die: see docs/chaos.md.

The short form does everything once. RINGFENCE__CHAOS_RUNS=2000 goes on until so many runs
were seen, and RINGFENCE__CHAOS_SEED chooses what happens; `make chaos` sets both. The
report and all that was seen go to RINGFENCE__CHAOS_FOLDER.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from storm.plan import WEIGHTS

RUNS = int(os.environ.get("RINGFENCE__CHAOS_RUNS", "0"))
SEED = int(os.environ.get("RINGFENCE__CHAOS_SEED", "55"))
TESTS = Path(__file__).resolve().parents[1]


def storm(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Runs `python -m storm`, whose lines appear as they come."""
    path = os.pathsep.join(str(place) for place in (TESTS.parent, TESTS / "chaos", TESTS / "cluster"))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RINGFENCE_")}
    return subprocess.run(
        [sys.executable, "-m", "storm", "--folder", str(folder), *arguments],
        env=environment | {"PYTHONPATH": path},
        check=False,
    )


@pytest.mark.slow
def test_no_run_overlaps_or_is_forgotten_whatever_dies_or_freezes_or_is_cut_off(tmp_path):
    folder = Path(os.environ.get("RINGFENCE__CHAOS_FOLDER", tmp_path)) / f"seed-{SEED}"
    folder.mkdir(parents=True, exist_ok=True)
    done = storm(folder, "--seed", str(SEED), "--runs", str(RUNS))
    report = json.loads((folder / "report.json").read_text()) if (folder / "report.json").exists() else {}
    broken = {name: found for name, found in report.get("invariants", {}).items() if found}
    assert (done.returncode, broken) == (0, {})
    assert report["counts"]["overlaps"] == 0

    happened = {kind.partition(",")[0].replace(" ", "_") for kind in report["counts"]["faults by kind"]}
    wanted = WEIGHTS.keys() | {"database_away"}
    if report["acts"][0]["partitions"] != "cut":
        wanted -= {"partition"}  # the report says in its first lines why none was possible
    assert happened == wanted
