"""A snapshot of all balances: totals over time, quantiles, and a compressed file.

Totals are sampled first; money moved between accounts shows in them. Then everything
is exported in one snapshot, which takes a moment, and packed at leisure. While it is
packed every line is added up again, so that a file is kept only if it is whole.
"""

from __future__ import annotations

import gzip
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from psycopg.rows import namedtuple_row

from server.jobs.pace import MINIMUM_SECONDS, AsyncPace
from server.jobs.session import Connection, Session
from server.postgres.statements import load

if TYPE_CHECKING:
    from server.cron.context import AsyncContext

SAMPLES = 20
PARTS = 20
CHUNK_BYTES = 256 * 1024
COMPRESSION_LEVEL = 6
SHARES = (0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99)

SQL = load("server.jobs", "balances.sql")


async def snapshot_balances(
    context: AsyncContext, minimum_seconds: float = MINIMUM_SECONDS, keep: int = 10
) -> dict[str, Any]:
    """Writes `var/snapshots/balances-<time>-<run>.csv.gz` and removes all but the newest `keep`.

    Raises RuntimeError, and keeps no file, when the file's sum is not the snapshot's.
    """
    if keep < 1:
        raise ValueError(f"keep must be 1 or more, got {keep}")
    pace = AsyncPace(context, minimum_seconds)
    raw = context.scratch / "balances.csv"
    samples = []
    async with Session(context) as session:
        for sample in range(SAMPLES):
            row = await session.row(SQL["totals"])
            at = row.taken_at.astimezone(UTC).isoformat()
            samples.append({"at": at, "accounts": row.accounts, "total": int(row.total)})
            await pace.reached(sample + 1, SAMPLES + PARTS, f"total {row.total}")
        taken, quantiles = await session.attempt(lambda connection: _export(connection, raw))

    folder = context.var / "snapshots"
    folder.mkdir(parents=True, exist_ok=True)
    taken_at = taken.taken_at.astimezone(UTC)
    target = folder / f"balances-{taken_at:%Y%m%dT%H%M%S}-{context.run_id}.csv.gz"
    with _kept_when_whole(target) as packed:
        tally = await _pack(raw, packed, pace)
        if (tally.accounts, tally.total) != (taken.accounts, taken.total):
            raise RuntimeError(f"the file holds {tally.accounts} accounts with {tally.total}, not {taken}")
    return {
        "file": target.name,
        "fileBytes": target.stat().st_size,
        "takenAt": taken_at.isoformat(),
        "accounts": taken.accounts,
        "emptyAccounts": taken.empty,
        "total": int(taken.total),
        "quantiles": {str(share): balance for share, balance in zip(SHARES, quantiles, strict=False)},
        "accountsByDigits": {str(digits): count for digits, count in sorted(tally.digits.items())},
        "samples": samples,
        "removed": _prune(folder, keep),
    }


class Tally:
    """What the lines of a file come to; takes them in chunks cut anywhere."""

    def __init__(self) -> None:
        self.accounts = 0
        self.total = 0
        self.digits: Counter[int] = Counter()
        self._rest = b""
        self._heading = True

    def add(self, chunk: bytes) -> None:
        """Adds the lines that are complete; the rest waits for the next chunk."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines[1 if self._heading and lines else 0 :]:
            balance = line.rpartition(b",")[2]
            self.accounts += 1
            self.total += int(balance)
            self.digits[len(balance)] += 1
        self._heading = self._heading and not lines


async def _export(connection: Connection, raw: Path) -> tuple[Any, list[int]]:
    """Totals, quantiles and every line, of one moment; a repeat starts the file anew."""
    async with connection.transaction(), connection.cursor(row_factory=namedtuple_row) as cursor:
        await cursor.execute(SQL["one_snapshot"])
        await cursor.execute(SQL["totals"])
        totals: Any = await cursor.fetchone()
        await cursor.execute(SQL["quantiles"], {"shares": list(SHARES)})
        quantiles: Any = await cursor.fetchone()
        with _opened(raw) as file:
            async with cursor.copy(SQL["export"]) as copy:
                async for block in copy:
                    file.write(block)
    return totals, list(quantiles.balances)


def _opened(path: Path) -> IO[bytes]:
    # A local file: opening and writing it takes no longer than the loop may wait.
    return path.open("wb", buffering=CHUNK_BYTES)


@contextmanager
def _kept_when_whole(target: Path) -> Iterator[IO[bytes]]:
    """A file that gets its name when all was written and is on disk, and else is removed."""
    for left_over in target.parent.glob(".*.partial"):
        left_over.unlink()  # of a run that was killed; only one runs at a time
    partial = target.with_name(f".{target.name}.partial")
    try:
        with partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


async def _pack(raw: Path, packed: IO[bytes], pace: AsyncPace) -> Tally:
    """Compresses the export in parts, and adds up what it reads."""
    tally = Tally()
    part_bytes = _part_bytes(raw)
    with raw.open("rb") as source, gzip.GzipFile("", "wb", COMPRESSION_LEVEL, packed, mtime=0) as archive:
        for part in range(PARTS):
            left_bytes = part_bytes
            while left_bytes > 0 and (chunk := source.read(min(left_bytes, CHUNK_BYTES))):
                archive.write(chunk)
                tally.add(chunk)
                left_bytes -= len(chunk)
                await pace.breathe()
            await pace.reached(SAMPLES + part + 1, SAMPLES + PARTS, f"{tally.accounts} accounts packed")
    return tally


def _part_bytes(raw: Path) -> int:
    return -(-raw.stat().st_size // PARTS)


def _prune(folder: Path, keep: int) -> int:
    """Removes the oldest snapshots, whose names sort by time; how many."""
    old = sorted(folder.glob("balances-*.csv.gz"))[:-keep]
    for path in old:
        path.unlink()
    return len(old)
