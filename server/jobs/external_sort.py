"""Sorts a file that is larger than the memory it may use: an external merge sort.

Four phases over the same records, each in batches: generate the file, sort pieces of
it that fit into memory ("runs" of the sort), merge them, and read the result again.
The result counts only if it is in order and holds the same records as the input: a
fingerprint that does not depend on their order says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from hashlib import blake2b
from heapq import merge
from itertools import islice, pairwise
from pathlib import Path
from random import Random
from typing import IO, TYPE_CHECKING, Any

from server.jobs.pace import MINIMUM_SECONDS, Pace

if TYPE_CHECKING:
    from server.cron.context import Context

RECORD_BYTES = 64
# What CPython adds to each record in a list: the header of a bytes object, and a pointer.
OBJECT_BYTES = 64
BATCH_RECORDS = 4_096
PHASES = 4
RUNS_MAX = 256  # each is an open file while merging

MIB = 1024 * 1024


def sort_large_file(
    context: Context,
    minimum_seconds: float = MINIMUM_SECONDS,
    file_bytes: int = 32 * MIB,
    memory_bytes: int = 4 * MIB,
) -> dict[str, Any]:
    """Sorts `file_bytes` of random records with about `memory_bytes` of memory.

    Takes twice the file's size in context.scratch. Raises ValueError when the two
    sizes don't fit each other, RuntimeError when the result is wrong.
    """
    records = file_bytes // RECORD_BYTES
    in_memory = memory_bytes // (RECORD_BYTES + OBJECT_BYTES)
    if records < 1 or in_memory < 1 or records > RUNS_MAX * in_memory:
        raise ValueError(
            f"the file needs 1 to {RUNS_MAX} runs that fit into memory: "
            f"file_bytes {file_bytes}, memory_bytes {memory_bytes}"
        )
    sort = Sort(context, Pace(context, minimum_seconds), records)
    source, result = context.scratch / "source", context.scratch / "result"
    sort.generate(source, context.run_id)
    runs, expected = sort.split(source, in_memory)
    source.unlink()
    sort.merge(runs, result)
    for run in runs:
        run.unlink()
    found = sort.verify(result)
    if found != expected:
        raise RuntimeError("the sorted file holds other records than the source")
    return {
        "records": records,
        "fileBytes": records * RECORD_BYTES,
        "memoryBytes": memory_bytes,
        "runs": len(runs),
        "fingerprint": f"{found:016x}",
        "seed": context.run_id,
    }


class Sort:
    """The phases, with one count of the work done in all of them."""

    def __init__(self, context: Context, pace: Pace, records: int) -> None:
        self._scratch = context.scratch
        self._pace = pace
        self._records = records
        self._done = 0

    def generate(self, source: Path, seed: int) -> None:
        """Writes the file that is to be sorted."""
        generator = Random(seed)  # noqa: S311 test data, no secret
        with source.open("wb") as file:
            for begun in range(0, self._records, BATCH_RECORDS):
                count = min(BATCH_RECORDS, self._records - begun)
                file.write(generator.randbytes(count * RECORD_BYTES))
                self._advance(count, "generating")

    def split(self, source: Path, in_memory: int) -> tuple[list[Path], int]:
        """Sorts pieces of the file that fit into memory; they and the fingerprint of all."""
        runs: list[Path] = []
        total = 0
        with source.open("rb") as file:
            records = _records(file)
            while piece := list(islice(records, in_memory)):
                total += fingerprint(piece)
                piece.sort()
                run = self._scratch / f"run-{len(runs)}"
                with run.open("wb") as target:
                    for begun in range(0, len(piece), BATCH_RECORDS):
                        batch = piece[begun : begun + BATCH_RECORDS]
                        target.write(b"".join(batch))
                        self._advance(len(batch), f"sorting piece {len(runs) + 1}")
                runs.append(run)
        return runs, total % 2**64

    def merge(self, runs: list[Path], result: Path) -> None:
        """Merges all pieces into one file, holding one buffer of each."""
        files = [run.open("rb") for run in runs]
        try:
            merged = merge(*(_records(file) for file in files))
            with result.open("wb") as target:
                while batch := list(islice(merged, BATCH_RECORDS)):
                    target.write(b"".join(batch))
                    self._advance(len(batch), f"merging {len(runs)} pieces")
        finally:
            for file in files:
                file.close()

    def verify(self, result: Path) -> int:
        """The fingerprint of the result; raises RuntimeError when it is out of order."""
        total, count, last = 0, 0, b""
        with result.open("rb") as file:
            records = _records(file)
            while batch := list(islice(records, BATCH_RECORDS)):
                if not is_sorted([last, *batch]):
                    raise RuntimeError(f"out of order after record {count}")
                total += fingerprint(batch)
                count += len(batch)
                last = batch[-1]
                self._advance(len(batch), "verifying")
        if count != self._records:
            raise RuntimeError(f"the sorted file holds {count} records, and not {self._records}")
        return total % 2**64

    def _advance(self, records: int, message: str) -> None:
        self._done += records
        self._pace.reached(self._done, PHASES * self._records, message)


def fingerprint(records: list[bytes]) -> int:
    """A number that the same records give in any order: the sum of their hashes."""
    digests = (blake2b(record, digest_size=8).digest() for record in records)
    return sum(int.from_bytes(digest, "big") for digest in digests) % 2**64


def is_sorted(records: list[bytes]) -> bool:
    """Whether no record is smaller than the one before it."""
    return all(before <= after for before, after in pairwise(records))


def _records(file: IO[bytes]) -> Iterator[bytes]:
    return iter(partial(file.read, RECORD_BYTES), b"")
