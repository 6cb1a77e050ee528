"""A database that has grown: millions of runs, their events, and entries of accounts whose balances agree."""

import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import psycopg

from benchmarks.apparatus.children import BenchmarkError
from benchmarks.apparatus.postgres import Database
from server.postgres.statements import load

SQL = load("benchmarks.apparatus", "growth.sql")
PIECE_ROWS = 500_000
BYTES_A_ROW = 1_200
"""Of disk for one run with its event and one entry, with their indexes and what the log keeps for a while."""
HOT_SHARE = 10
"""One of so many entries belongs to one single account."""
ENTRIES_AN_ACCOUNT = 100


@dataclass(frozen=True)
class Sizes:
    """How much. Multiples of 1,000."""

    runs: int = 10_000_000
    entries: int = 10_000_000

    @property
    def bytes_needed(self) -> int:
        """Of disk."""
        return BYTES_A_ROW * (self.runs + self.entries)


@dataclass(frozen=True)
class Grown:
    """What was made. accounts: the first and the last of the crowd; hot: the one with most entries.

    index_seconds: how long each index of `runs` took that no constraint needs.
    """

    accounts: tuple[int, int]
    hot: int
    index_seconds: dict[str, float]
    seconds: float


def check_disk(folder: Path, sizes: Sizes) -> None:
    """Raises BenchmarkError if it would not fit."""
    free = shutil.disk_usage(folder).free
    if free < 2 * sizes.bytes_needed:
        gib = 2 * sizes.bytes_needed / 2**30
        raise BenchmarkError(
            f"{folder}: {free / 2**30:.1f} GiB of disk are free, {gib:.1f} GiB are wanted: "
            f"give --folder or --rows"
        )


def grow(database: Database, sizes: Sizes, say: Callable[[str], None]) -> Grown:
    """Fills a fresh database, runs and entries at the same time.

    Raises BenchmarkError if the ledger does not add up.
    """
    began = perf_counter()
    made: dict[str, Any] = {}
    failed: list[BaseException] = []

    def attempt(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # a thread's own end is told by who waits for it
            failed.append(error)

    works = (lambda: _grow_history(database, sizes, made), lambda: _grow_ledger(database, sizes, made))
    threads = [threading.Thread(target=attempt, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
    say(f"rows made after {perf_counter() - began:.0f} s")
    with _owner(database) as owner:
        index_seconds = {row[0]: _timed(owner, str(row[1])) for row in (*made["entries"], *made["runs"])}
        owner.execute(SQL["settle"])
        wrong = owner.execute(SQL["differing"]).fetchone()
    if wrong != (0,):
        raise BenchmarkError(f"the ledger that was made is off: {wrong} accounts differ")
    say(f"indexes, statistics and the check of the ledger after {perf_counter() - began:.0f} s")
    return Grown(made["accounts"], made["hot"], index_seconds, perf_counter() - began)


def _grow_history(database: Database, sizes: Sizes, made: dict[str, Any]) -> None:
    with _owner(database) as owner:
        made["runs"] = _drop_indexes(owner, "runs")
        owner.execute(SQL["quiet"])
        owner.execute(SQL["tasks"])
        for name in ("runs", "events"):
            _in_pieces(owner, name, sizes.runs, {})
        owner.execute(SQL["loud"])


def _grow_ledger(database: Database, sizes: Sizes, made: dict[str, Any]) -> None:
    hot_entries = sizes.entries // HOT_SHARE
    accounts = (sizes.entries - hot_entries) // ENTRIES_AN_ACCOUNT
    with _owner(database) as owner:
        made["entries"] = _drop_indexes(owner, "entries")
        crowd = _accounts(owner, ENTRIES_AN_ACCOUNT, accounts)
        hot, _ = _accounts(owner, hot_entries, 1)
        _in_pieces(
            owner, "entries", sizes.entries - hot_entries, {"accounts": accounts, "first_account": crowd[0]}
        )
        _in_pieces(owner, "entries", hot_entries, {"accounts": 1, "first_account": hot})
    made["accounts"], made["hot"] = crowd, hot


def _accounts(owner: "psycopg.Connection[Any]", rounds: int, accounts: int) -> tuple[int, int]:
    row = owner.execute(SQL["accounts"], {"rounds": rounds, "accounts": accounts}).fetchone()
    assert row is not None, "an aggregate returns one row"
    return row[0], row[1]


def _in_pieces(owner: "psycopg.Connection[Any]", name: str, total: int, params: dict[str, int]) -> None:
    """A statement that goes through a series, a transaction for each piece of it."""
    for first in range(1, total + 1, PIECE_ROWS):
        series = {"first": first, "last": min(first + PIECE_ROWS - 1, total), "total": total}
        owner.execute(SQL[name], series | params)


def _drop_indexes(owner: "psycopg.Connection[Any]", table: str) -> list[Any]:
    """Drops what is made again faster at the end; names and definitions."""
    found = owner.execute(SQL["indexes"], {"table": table}).fetchall()
    for name, _ in found:
        owner.execute(psycopg.sql.SQL("drop index {}").format(psycopg.sql.Identifier(name)))
    return found


def _timed(owner: "psycopg.Connection[Any]", statement: str) -> float:
    began = perf_counter()
    owner.execute(statement)  # type: ignore[call-overload]  # what PostgreSQL itself said of the index
    return perf_counter() - began


def _owner(database: Database) -> "psycopg.Connection[Any]":
    """A session whose commits wait for no disk: what a crash would lose is made again."""
    connection = psycopg.connect(database.owner_url, autocommit=True)
    connection.execute(SQL["hurry"])
    return connection
