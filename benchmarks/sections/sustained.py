"""Section `sustained`: a steady crowd over many accounts, and how long each request takes.

Fifty connections, each with its next request as soon as it has its answer; the
accounts are drawn evenly. So the rate is what fifty patient clients get, and
the latencies are those at that rate: compare them with the rate in view.
"""

import random

from benchmarks.apparatus import client
from benchmarks.apparatus.books import Books
from benchmarks.apparatus.contestants import Contestant
from benchmarks.apparatus.http import post, withdrawal
from benchmarks.report.figures import count, milliseconds, percentile
from benchmarks.report.section import Section, Table
from benchmarks.sections.stage import AMOUNT, NOT_MEASURED, PATH, Stage, missing, note

CONNECTIONS = 50
BALANCE = 1_000_000_000
PERCENTS = (50, 99, 99.9)
SEED = 20_260_101


def measure(stage: Stage) -> Section:
    """The section."""
    sizes, wrong = stage.sizes, list[str]()
    note(f"opening {2 * sizes.accounts:,} accounts")
    users = {
        id(books): books.open_accounts(sizes.accounts, BALANCE) for books in (stage.books, stage.peer_books)
    }
    rows, data = [], {}
    contestants = stage.contestants()
    for contestant in contestants:
        name = f"({contestant.letter}) {contestant.name}"
        if contestant.missing:
            rows.append((name, NOT_MEASURED, *([""] * (len(PERCENTS) + 1))))
            continue
        note(f"sustained, {sizes.sustained_seconds:g} s: {name}")
        outcome, fault = _minute(stage, contestant, users[id(contestant.books or stage.books)])
        if fault:
            wrong.append(f"{name}: {fault}")
        ordered = sorted(outcome.latencies)
        shares = [percentile(ordered, percent) for percent in PERCENTS]
        rows.append(
            (
                name,
                count(outcome.rate),
                *map(milliseconds, shares),
                f"{outcome.cpu_seconds / outcome.seconds:.2f}",
            )
        )
        data[contestant.letter] = {
            "rate": outcome.rate,
            "percentiles_seconds": dict(zip(PERCENTS, shares, strict=True)),
        }
    crowd = f"{CONNECTIONS} connections for {sizes.sustained_seconds:g} s"
    table = Table(
        f"{crowd} over {sizes.accounts:,} accounts, milliseconds",
        ("contestant", "answers a second", *(f"p{percent:g}" for percent in PERCENTS), "cores of the client"),
        rows,
    )
    return Section("sustained", [table], notes=missing(contestants), wrong=wrong, data=data)


def _minute(stage: Stage, contestant: Contestant, users: list[int]) -> tuple[client.Outcome, str]:
    """One contestant's turn, and what was wrong with it."""
    sizes, books = stage.sizes, contestant.books
    drawn = random.Random(SEED).choices(users, k=sizes.accounts)
    with contestant.up() as address:
        stage.warm_up(contestant, address)
        requests = [post(address, PATH, withdrawal(user_id, AMOUNT)) for user_id in drawn]
        before = books.taken() if books else 0
        if books:
            books.checkpoint()
        outcome = client.run(client.Load(address, requests, CONNECTIONS, sizes.sustained_seconds))
    return outcome, _fault(books, before, outcome)


def _fault(books: Books | None, before: int, outcome: client.Outcome) -> str:
    succeeded = outcome.statuses[200]
    if outcome.unanswered or succeeded != len(outcome.latencies):
        return f"answers {dict(outcome.statuses)}, {outcome.unanswered} without an answer; expected 200 alone"
    if books and books.taken() - before != succeeded:
        return f"{succeeded:,} were told to have succeeded, the ledger has {books.taken() - before:,}"
    if books and books.differing():
        return f"{books.differing():,} accounts differ from the sum of their entries"
    return ""
