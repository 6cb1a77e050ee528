"""Section `batches`: post_batch() alone, beside a batch that guards each item, and as the ledger grows."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import psycopg

from benchmarks.apparatus.books import Books
from benchmarks.apparatus.packages import PEERS
from benchmarks.report.figures import Spread, count, ratios, span, times
from benchmarks.report.section import Section, Table, Target
from benchmarks.sections.batch_call import STATEMENTS, Batches, Zipf
from benchmarks.sections.stage import Stage, note

DATABASE = "benchmark_batches"
BALANCE = 1_000_000_000_000
BATCHES_A_RUN = 5
GROWTH_BATCHES = 10
GROWTH_ACCOUNTS = 1_000
SEED = 11

Session = psycopg.Connection[tuple[Any, ...]]


@dataclass(frozen=True)
class Rates:
    """Withdrawals a second of each run."""

    posted: list[float]
    guarded: list[float]


def measure(stage: Stage) -> Section:
    """The section, on databases of its own that are dropped again."""
    if not stage.books.has_post_batch():
        return Section(
            "batches", [], _targets(None, None, None), ["This release has no post_batch(): not measured."]
        )
    try:
        books = Books(stage.postgres.ringfence_database(DATABASE))
        with books.database.connect() as session:
            session.execute((PEERS / "guarded_batch.sql").read_text(encoding="utf-8"))
        one = _compare(stage, books, books.open_accounts(1, BALANCE), "one account")
        many = _compare(stage, books, books.open_accounts(stage.sizes.accounts, BALANCE), "many accounts")
        wrong = (
            [f"{books.differing():,} accounts differ from the sum of their entries"]
            if books.differing()
            else []
        )
        growth = _grow(stage)
    finally:
        stage.postgres.drop(DATABASE)
    tables = [_table(stage, one, many), _growth_table(stage, growth)]
    data = {"one": vars(one), "many": vars(many), "growth_seconds": growth}
    return Section("batches", tables, _targets(one, many, growth), wrong=wrong, data=data)


def _compare(stage: Stage, books: Books, users: Sequence[int], where: str) -> Rates:
    size, rates = stage.sizes.batch, Rates([], [])
    zipf = Zipf(users, SEED)
    with books.database.connect() as session:
        posting, guarding = Batches(session, "post_batch"), Batches(session, "guarded_batch")
        for run in range(stage.runs):
            note(f"batches of {size:,} on {where}, run {run + 1} of {stage.runs}")
            books.checkpoint()
            seconds = sum(posting.call(zipf.draw(size)) for _ in range(BATCHES_A_RUN))
            rates.posted.append(BATCHES_A_RUN * size / seconds)
            books.checkpoint()
            rates.guarded.append(size / guarding.call(zipf.draw(size)))
    return rates


def _grow(stage: Stage) -> dict[str, list[float]]:
    """Seconds of batches on an empty ledger and on a long one, over one connection.

    One connection, since plans that it made while the tables were empty are what
    a node would use on the long ledger, too.
    """
    books = Books(stage.postgres.ringfence_database(DATABASE))
    with books.database.connect() as session:
        batches, growth = Batches(session, "post_batch"), dict[str, list[float]]()
        # Not open_accounts(), which analyzes: the tables are to be as new as they can be.
        zipf = Zipf([books.open_account(BALANCE) for _ in range(GROWTH_ACCOUNTS)], SEED)
        size = stage.sizes.batch
        batches.call(zipf.draw(size))
        growth["empty"] = [batches.call(zipf.draw(size)) for _ in range(GROWTH_BATCHES)]
        note(f"growing the ledger to {stage.sizes.entries:,} entries")
        while _entries(session) < stage.sizes.entries:
            for _ in range(GROWTH_BATCHES):
                batches.call(zipf.draw(size))
        books.checkpoint()
        growth["grown"] = [batches.call(zipf.draw(size)) for _ in range(GROWTH_BATCHES)]
    return growth


def _entries(session: Session) -> int:
    row = session.execute(STATEMENTS["count_entries"]).fetchone()
    assert row is not None, "a count is one row"
    return int(row[0])


def _table(stage: Stage, one: Rates, many: Rates) -> Table:
    rows = []
    for where, rates in (("one account", one), (f"{stage.sizes.accounts:,} accounts, Zipf", many)):
        for what, values in (("post_batch()", rates.posted), ("an exception block each", rates.guarded)):
            spread = Spread.of(values)
            ratio = times(ratios(values, rates.guarded))
            rows.append((f"{where}: {what}", count(spread.median), span(spread), ratio))
    columns = ("batches", "median", "lowest–highest", "times the block each")
    return Table(f"Withdrawals a second in one call with {stage.sizes.batch:,}", columns, rows)


def _growth_table(stage: Stage, growth: dict[str, list[float]]) -> Table:
    rows = []
    for what, seconds in (
        ("empty tables", growth["empty"]),
        (f"{stage.sizes.entries:,} entries", growth["grown"]),
    ):
        spread = Spread.of([stage.sizes.batch / value for value in seconds])
        rows.append((what, count(spread.median), span(spread)))
    columns = ("ledger", "median", "lowest–highest")
    title = f"post_batch() with {stage.sizes.batch:,} over {GROWTH_ACCOUNTS:,} accounts, withdrawals a second"
    return Table(title, columns, rows)


def _targets(one: Rates | None, many: Rates | None, growth: dict[str, list[float]] | None) -> list[Target]:
    def ratio(rates: Rates | None) -> float | None:
        return ratios(rates.posted, rates.guarded).median if rates else None

    slower = median(growth["grown"]) / median(growth["empty"]) if growth else None
    return [
        Target("post_batch() on one account, times the block each", 20, ratio(one)),
        Target("post_batch() on many accounts, times the block each", 2, ratio(many)),
        Target("time on a long ledger, times that on empty tables", 1.33, slower, at_most=True),
    ]
