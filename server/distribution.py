"""How often a quantity had which size: what becomes a histogram of /metrics.

Kept by the part that sees the quantity and read by whoever asks; so no part knows
Prometheus, and an observation costs a look into a short list and two additions.

Not promised: that count and sum are of one moment, when one thread observes and
another reads. They are a single observation apart at most.
"""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds for what a client or a lease waits for."""


class Distribution:
    """Counts observations by upper bounds, which ascend; what exceeds them all is counted, too."""

    __slots__ = ("_counts", "bounds", "total")

    def __init__(self, bounds: Sequence[float] = SECONDS) -> None:
        self.bounds = tuple(bounds)
        self.total = 0.0
        self._counts = [0] * (len(self.bounds) + 1)

    def observe(self, value: float) -> None:
        """Takes one more in. For one thread at a time."""
        self._counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    @property
    def count(self) -> int:
        """How many were observed."""
        return sum(self._counts)

    @property
    def cumulative(self) -> list[int]:
        """For each bound how many were at most that large, and at last how many there were."""
        return list(accumulate(self._counts))
