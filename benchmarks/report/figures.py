"""Numbers of several runs as one, and numbers as people read them. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Spread:
    """Median, lowest and highest of the runs."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Of at least one value."""
        return cls(median(values), min(values), max(values))


def ratios(values: Sequence[float], to: Sequence[float]) -> Spread:
    """Each run's value by the same run's other one: what drifts slowly touches both alike."""
    return Spread.of([value / other for value, other in zip(values, to, strict=True)])


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The smallest value that at least so many percent of an ordered sequence don't exceed."""
    place = -(-len(ordered) * percent // 100)  # rounded up
    return ordered[max(0, int(place) - 1)]


def count(value: float) -> str:
    """A rate or a number of things: whole, with thousands apart; small ones with a decimal."""
    return f"{value:,.0f}" if value >= 100 else f"{value:,.1f}"


def span(spread: Spread) -> str:
    """From the lowest to the highest."""
    return f"{count(spread.low)}–{count(spread.high)}"


def times(spread: Spread) -> str:
    """A ratio, with what the runs gave."""
    return f"{spread.median:.2f} ({spread.low:.2f}–{spread.high:.2f})"


def milliseconds(seconds: float) -> str:
    """A latency."""
    return f"{seconds * 1000:,.2f}"
