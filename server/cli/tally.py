"""What a burst should do to an account, what it did, and where the two differ.

Units: amounts and balances are whole minor units, times are seconds.
Pure: numbers in, numbers out.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from server.cli.answers import REFUSED, SUCCEEDED


@dataclass(frozen=True)
class Expected:
    """What follows from the arithmetic alone, whatever the order of the requests."""

    succeeded: int
    refused: int
    balance: int


def expect(requests: int, amount: int, balance: int) -> Expected:
    """The only right end of `requests` withdrawals of `amount` from `balance`."""
    succeeded = min(requests, balance // amount)
    return Expected(succeeded, requests - succeeded, balance - succeeded * amount)


@dataclass(frozen=True)
class Tally:
    """What came of it. balance and entries_sum are None if the service could not be asked."""

    kinds: Mapping[str, int]
    balance: int | None
    entries_sum: int | None

    @property
    def succeeded(self) -> int:
        return self.kinds.get(SUCCEEDED, 0)

    @property
    def refused(self) -> int:
        return self.kinds.get(REFUSED, 0)

    @property
    def others(self) -> dict[str, int]:
        """Everything that should not have happened, the most frequent first."""
        unexpected = {kind: count for kind, count in self.kinds.items() if kind not in {SUCCEEDED, REFUSED}}
        return dict(sorted(unexpected.items(), key=lambda item: (-item[1], item[0])))


def differences(expected: Expected, tally: Tally) -> list[str]:
    """One line for each number that is not what it must be; none means exactly right."""
    compared = [
        ("succeeded", tally.succeeded, expected.succeeded),
        (REFUSED, tally.refused, expected.refused),
        ("final balance", tally.balance, expected.balance),
        ("sum of entries", tally.entries_sum, tally.balance),
    ]
    lines = [
        f"{name}: {shown(actual)} instead of {shown(right)}"
        for name, actual, right in compared
        if actual is None or actual != right
    ]
    lines += [f"{kind}: {count:,} instead of none" for kind, count in tally.others.items()]
    return lines


def shown(number: int | None) -> str:
    """A count for people."""
    return "unknown" if number is None else f"{number:,}"


@dataclass(frozen=True)
class Latencies:
    """Seconds from sending a request to its complete answer."""

    p50: float
    p90: float
    p99: float
    max: float


def latencies(seconds: Sequence[float]) -> Latencies | None:
    """None if nothing was answered."""
    if not seconds:
        return None
    ordered = sorted(seconds)
    return Latencies(percentile(ordered, 50), percentile(ordered, 90), percentile(ordered, 99), ordered[-1])


def percentile(ordered: Sequence[float], percent: int) -> float:
    """The nearest-rank percentile: a value that occurred, and never one between two."""
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]
