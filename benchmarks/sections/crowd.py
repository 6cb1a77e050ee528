"""Section `burst`: a crowd withdraws from one account at one moment, from every contestant in turn.

Each run goes through all contestants, every other run backwards, so that what
drifts slowly, such as a machine that gets warm, weighs on all alike.
"""

from collections import Counter, defaultdict
from typing import Any
from uuid import uuid4

from benchmarks.apparatus import client
from benchmarks.apparatus.books import audit
from benchmarks.apparatus.contestants import Contestant
from benchmarks.apparatus.http import Address, post, withdrawal
from benchmarks.report.figures import Spread, count, ratios, span, times
from benchmarks.report.section import Section, Table, Target
from benchmarks.sections.stage import AMOUNT, NOT_MEASURED, PATH, Stage, missing, note

PLAIN, KEYED = "own client", "own client, keys"
KEY = "Idempotency-Key"
NO_KEYS = "This release has no Idempotency-Key: keys were not measured."


class Crowd:
    """The measurements of this section. A scenario is a number of connections, or one of the own client's."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._contestants = stage.contestants()
        self._rates: dict[tuple[str, str], list[float]] = defaultdict(list)
        self._client_shares: dict[tuple[str, str], list[float]] = defaultdict(list)
        self._exact: dict[tuple[str, str], int] = defaultdict(int)
        self._wrong: list[str] = []
        self._counts = {
            f"{number:,}": number for number in (stage.sizes.connections, stage.sizes.connections_max)
        }
        self._keys_work = False

    def measure(self) -> Section:
        """Runs everything."""
        able = [contestant for contestant in self._contestants if not contestant.missing]
        for run in range(self._stage.runs):
            for contestant in able if run % 2 == 0 else reversed(able):
                note(f"burst, run {run + 1} of {self._stage.runs}: ({contestant.letter}) {contestant.name}")
                with contestant.up() as address:
                    self._turn(contestant, address)
        return self._section()

    def _turn(self, contestant: Contestant, address: Address) -> None:
        stage = self._stage
        stage.warm_up(contestant, address)
        for scenario, connections in self._counts.items():
            checked = stage.burst(contestant, address, stage.shape(connections))
            self._record((contestant.letter, scenario), checked.burst.rate, checked.wrong)
        if contestant.letter == "a":
            self._keys_work = self._key_counts_once(contestant, address)
        if contestant.letter in {"a", "b"}:
            self._own(contestant, address, PLAIN)
            if contestant.letter == "b" or self._keys_work:
                self._own(contestant, address, KEYED)

    def _own(self, contestant: Contestant, address: Address, scenario: str) -> None:
        """A burst by the client that can vary its requests."""
        sizes, books = self._stage.sizes, contestant.books
        opening = sizes.requests * AMOUNT // 2
        user_id = books.open_account(opening) if books else 1
        body = withdrawal(user_id, AMOUNT)
        requests = [
            post(address, PATH, body, {KEY: str(uuid4())} if scenario == KEYED else None)
            for _ in range(sizes.requests)
        ]
        if books:
            books.checkpoint()
        outcome = client.run(client.Load(address, requests, sizes.connections))
        expected = sizes.requests // 2 if books else sizes.requests
        told = f"({contestant.letter}) {contestant.name}, {scenario}: "
        wrong = [told + fault for fault in audit(books, user_id, opening, expected, AMOUNT)] if books else []
        if outcome.statuses != Counter({200: expected, 409: sizes.requests - expected}):
            wrong.append(f"{told}answers {dict(outcome.statuses)}, {outcome.unanswered} without an answer")
        self._record((contestant.letter, scenario), outcome.rate, wrong)
        share = outcome.cpu_seconds / outcome.seconds
        self._client_shares[contestant.letter, scenario].append(share)

    def _key_counts_once(self, contestant: Contestant, address: Address) -> bool:
        """Whether this release knows keys: the same one twice must take money once."""
        assert contestant.books is not None
        user_id = contestant.books.open_account(2 * AMOUNT)
        request = post(address, PATH, withdrawal(user_id, AMOUNT), {KEY: str(uuid4())})
        for _ in range(2):
            client.run(client.Load(address, [request], 1))
        return contestant.books.state(user_id).taken == 1

    def _record(self, place: tuple[str, str], rate: float, wrong: list[str]) -> None:
        self._rates[place].append(rate)
        self._exact[place] += not wrong
        self._wrong += wrong

    def _section(self) -> Section:
        sizes = self._stage.sizes
        tables = [
            self._table(
                f"{sizes.requests:,} withdrawals over {scenario} connections, answers a second", scenario
            )
            for scenario in self._counts
        ]
        tables.append(self._own_table())
        return Section(
            "burst",
            tables,
            self._targets(),
            [*missing(self._contestants), *([] if self._keys_work else [NO_KEYS])],
            self._wrong,
            {
                "runs": self._stage.runs,
                "title": tables[0].title,
                "chart": [self._bar(contestant) for contestant in self._contestants],
                "rates": {
                    f"{letter}: {scenario}": rates for (letter, scenario), rates in self._rates.items()
                },
            },
        )

    def _table(self, title: str, scenario: str) -> Table:
        columns = ("contestant", "median", "lowest–highest", "times (b)", "exact")
        return Table(title, columns, [self._row(contestant, scenario) for contestant in self._contestants])

    def _row(self, contestant: Contestant, scenario: str) -> tuple[str, ...]:
        name = f"({contestant.letter}) {contestant.name}"
        if contestant.missing:
            return name, NOT_MEASURED, "", "", ""
        rates = self._rates[contestant.letter, scenario]
        spread = Spread.of(rates)
        exact = f"{self._exact[contestant.letter, scenario]} of {len(rates)}"
        return (
            name,
            count(spread.median),
            span(spread),
            times(ratios(rates, self._rates["b", scenario])),
            exact,
        )

    def _bar(self, contestant: Contestant) -> dict[str, Any]:
        """What the chart shows of one contestant."""
        return {
            "name": contestant.name,
            "rates": self._rates[contestant.letter, next(iter(self._counts))],
            "missing": contestant.missing,
            "ours": contestant.letter == "a",
        }

    def _own_table(self) -> Table:
        rows = []
        for place in [("a", PLAIN), ("a", KEYED), ("b", PLAIN), ("b", KEYED)]:
            rates = self._rates[place]
            if not rates:
                continue
            spread, share = Spread.of(rates), Spread.of(self._client_shares[place])
            rows.append(
                (
                    f"({place[0]}) {'a key on every request' if place[1] == KEYED else 'without keys'}",
                    count(spread.median),
                    span(spread),
                    times(ratios(rates, self._rates["b", place[1]])),
                    f"{share.median:.2f}",
                    f"{self._exact[place]} of {len(rates)}",
                )
            )
        columns = ("own client", "median", "lowest–highest", "times (b)", "cores of the client", "exact")
        return Table(
            f"The same over {self._stage.sizes.connections:,} connections, by the benchmark's own client",
            columns,
            rows,
        )

    def _targets(self) -> list[Target]:
        few, many = self._counts

        def ratio(scenario: str, to: str) -> float | None:
            rates, others = self._rates["a", scenario], self._rates[to, scenario]
            return ratios(rates, others).median if rates and others else None

        ours = [place for place in self._rates if place[0] == "a"]
        exact = sum(self._exact[place] for place in ours) / sum(len(self._rates[place]) for place in ours)
        return [
            Target("Ringfence's exact bursts, of all", 1, exact),
            Target("burst, times (b)", 1.1, ratio(few, "b")),
            Target("burst, times (c)", 4, ratio(few, "c")),
            Target("burst, times (d)", 4, ratio(few, "d")),
            Target("burst, times (f)", 12, ratio(few, "f")),
            Target(f"{many} connections, times (b)", 0.95, ratio(many, "b")),
            Target("a key on every request, times (b)", 0.8, ratio(KEYED, "b")),
        ]


def measure(stage: Stage) -> Section:
    """The section."""
    return Crowd(stage).measure()
