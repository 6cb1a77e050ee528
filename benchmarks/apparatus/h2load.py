"""h2load, the compiled load client of nghttp2: one body, many connections, HTTP/1.1.

A connection sends its next request when it has its answer. The time begins
with the first connect and ends with the last answer, so it includes connecting.
"""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from benchmarks.apparatus.children import BenchmarkError
from benchmarks.apparatus.http import Address

THREADS = 2
SECONDS_MAX = 300.0
MISSING = "h2load is not here: apt-get install nghttp2-client"

# The rate counts every answer and has more digits than the time, which is rounded.
_FINISHED = re.compile(r"^finished in [\d.]+(?:us|ms|s|m|h), ([\d.]+) req/s", re.MULTILINE)
_STATUS = re.compile(r"^status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", re.MULTILINE)


@dataclass(frozen=True)
class Burst:
    """What came of it. rate: answers a second; requests by the kind of their answer."""

    rate: float
    succeeded: int
    refused: int
    other: int
    unanswered: int


@dataclass(frozen=True)
class Shape:
    """How many requests, over how many connections."""

    requests: int
    connections: int


def is_here() -> bool:
    """Whether h2load can be run."""
    return shutil.which("h2load") is not None


def version() -> str:
    """Its version, for the report."""
    done = subprocess.run(["h2load", "--version"], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def load(address: Address, path: str, body: Path, shape: Shape) -> Burst:
    """Sends the same body many times. Raises BenchmarkError if h2load says nothing that can be read."""
    argv = ["h2load", "--h1", "-n", str(shape.requests), "-c", str(shape.connections)]
    argv += ["-t", str(min(THREADS, shape.connections)), "-d", str(body)]
    argv += ["-H", "content-type: application/json", f"{address.url}{path}"]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=SECONDS_MAX, check=False)
    except subprocess.TimeoutExpired:
        raise BenchmarkError(f"h2load did not end within {SECONDS_MAX:g} s: {' '.join(argv)}") from None
    return parse(done.stdout, shape.requests)


def parse(text: str, requests: int) -> Burst:
    """What h2load printed. Raises BenchmarkError if it printed something else."""
    finished, status = _FINISHED.search(text), _STATUS.search(text)
    if finished is None or status is None:
        raise BenchmarkError(f"h2load printed no result:\n{text[-1000:]}")
    succeeded, redirected, refused, failed = map(int, status.groups())
    return Burst(
        rate=float(finished[1]),
        succeeded=succeeded,
        refused=refused,
        other=redirected + failed,
        unanswered=requests - succeeded - redirected - refused - failed,
    )
