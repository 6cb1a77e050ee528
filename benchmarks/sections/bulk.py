"""Section `bulk`: POST /withdrawals in batches, beside the burst and beside post_batch() called alone."""

import json
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.apparatus import client
from benchmarks.apparatus.http import Address, ask, post
from benchmarks.report.figures import Spread, count, ratios, span
from benchmarks.report.section import Section, Table, Target
from benchmarks.sections.batch_call import Batches
from benchmarks.sections.stage import AMOUNT, Stage, note

PATH = "/withdrawals"
SIZES = (1_000, 10_000)
CONNECTIONS = (1, 6)
BALANCE = 1_000_000_000_000
SEED = 7
BURST = "the burst, one withdrawal a request"


@dataclass(frozen=True)
class Case:
    """How large the batches are, and over which accounts they go."""

    size: int
    where: str
    users: Sequence[int]

    def label(self, how: str) -> str:
        """The row's name."""
        return f"{self.size:,} on {self.where}, {how}"


class Bulk:
    """The measurements of this section; rates are withdrawals a second."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._rates: dict[str, list[float]] = defaultdict(list)
        self._wrong: list[str] = []
        self._random = random.Random(SEED)

    def measure(self) -> Section:
        """Runs everything."""
        stage = self._stage
        cases = self._cases()
        ringfence = stage.ringfence()
        with ringfence.up() as address:
            if not _is_offered(address, cases[0].users[0]):
                text = "This release has no POST /withdrawals (404): not measured."
                return Section("bulk", [], _targets({}), [text])
            stage.warm_up(ringfence, address)
            for run in range(stage.runs):
                note(f"bulk, run {run + 1} of {stage.runs}")
                checked = stage.burst(ringfence, address, stage.shape(stage.sizes.connections))
                self._rates[BURST].append(checked.burst.rate)
                self._wrong += checked.wrong
                for case in cases:
                    self._alone(case)
                    for connections in CONNECTIONS:
                        self._served(case, address, connections)
        differing = stage.books.differing()
        if differing:
            self._wrong.append(f"{differing:,} accounts differ from the sum of their entries")
        return self._section()

    def _cases(self) -> list[Case]:
        one = self._stage.books.open_accounts(1, BALANCE)
        many = self._stage.books.open_accounts(self._stage.sizes.accounts, BALANCE)
        places = [("one account", one), (f"{len(many):,} accounts", many)]
        return [Case(size, where, users) for where, users in places for size in SIZES]

    def _batches(self, case: Case) -> list[list[int]]:
        number = max(1, self._stage.sizes.bulk_withdrawals // case.size)
        return [self._random.choices(case.users, k=case.size) for _ in range(number)]

    def _served(self, case: Case, address: Address, connections: int) -> None:
        requests = [post(address, PATH, _body(users)) for users in self._batches(case)]
        label = case.label("one connection" if connections == 1 else f"{connections} connections")
        before = self._stage.books.taken()
        self._stage.books.checkpoint()
        outcome = client.run(client.Load(address, requests, connections))
        expected = len(requests) * case.size
        taken = self._stage.books.taken() - before
        if outcome.statuses[200] != len(requests) or taken != expected:
            self._wrong.append(
                f"{label}: answers {dict(outcome.statuses)}, {outcome.unanswered} without an answer; "
                f"{taken:,} of {expected:,} in the ledger"
            )
        self._rates[label].append(taken / outcome.seconds)  # what was answered and not done doesn't count

    def _alone(self, case: Case) -> None:
        label = case.label("post_batch() alone")
        drawn = self._batches(case)
        self._stage.books.checkpoint()
        with self._stage.books.database.connect() as connection:
            batches = Batches(connection, "post_batch")
            seconds = sum(batches.call(users) for users in drawn)
        self._rates[label].append(len(drawn) * case.size / seconds)

    def _section(self) -> Section:
        rows = []
        for label, rates in self._rates.items():
            spread = Spread.of(rates)
            rows.append(
                (
                    label,
                    count(spread.median),
                    span(spread),
                    f"{ratios(rates, self._rates[BURST]).median:.2f}",
                )
            )
        columns = ("batches of", "median", "lowest–highest", "times the burst")
        table = Table("Withdrawals a second in bulk", columns, rows)
        return Section(
            "bulk", [table], _targets(self._rates), wrong=self._wrong, data={"rates": dict(self._rates)}
        )


def _targets(rates: dict[str, list[float]]) -> list[Target]:
    """On one account, in the larger batches, over six connections, which keep all instances busy."""

    def ratio(label: str, to: str) -> float | None:
        return ratios(rates[label], rates[to]).median if rates else None

    best = f"{SIZES[-1]:,} on one account, {CONNECTIONS[-1]} connections"
    alone = f"{SIZES[-1]:,} on one account, post_batch() alone"
    return [
        Target("bulk on one account, times the burst", 4, ratio(best, BURST)),
        Target("bulk on one account, times post_batch() alone", 0.7, ratio(best, alone)),
    ]


def _is_offered(address: Address, user_id: int) -> bool:
    return ask(address, "POST", PATH, _body([user_id]))[0] != 404


def _body(users: Sequence[int]) -> bytes:
    withdrawals = [{"userId": user_id, "amount": AMOUNT} for user_id in users]
    return json.dumps({"withdrawals": withdrawals}, separators=(",", ":")).encode()


def measure(stage: Stage) -> Section:
    """The section."""
    return Bulk(stage).measure()
