"""Whether this node has seen enough of the database's clock to judge a lease.

A lease that "has passed" on a clock that just jumped may belong to a node that
is alive. So before a node gives anything away it must have watched for one ttl
of its own clock, over one connection, one server start and one timeline, that
the database's clock advanced as its own did. Whatever breaks that begins the
watch anew; live nodes renew their leases meanwhile.

Pure: both clocks are arguments.
"""

from collections import deque
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Reading:
    """One look at the database's clock.

    own_seconds: CLOCK_BOOTTIME of this node, before the question was sent.
    origin: what must stay the same: connection, server start, timeline.
    """

    own_seconds: float
    clock: datetime
    origin: tuple[object, ...]


class Watch:
    """Follows readings; `is_complete` says whether a sweep is allowed now."""

    def __init__(self, ttl_seconds: float, margin_seconds: float) -> None:
        self._ttl_seconds = ttl_seconds
        self._tolerance_seconds = margin_seconds / 2
        self._readings: deque[Reading] = deque()

    def observe(self, reading: Reading) -> None:
        """Takes the next reading; begins anew if it does not continue the first that is kept.

        Compared with the first and not with the last, so that a drift in small
        steps adds up; kept for two ttl, so that the honest drift of two clocks
        over a day does not.
        """
        if self._readings and not self._continues(self._readings[0], reading):
            self._readings.clear()
        self._readings.append(reading)
        horizon = reading.own_seconds - 2 * self._ttl_seconds
        while self._readings[0].own_seconds < horizon:
            self._readings.popleft()

    def reset(self) -> None:
        """Forgets everything seen, as after a lost connection."""
        self._readings.clear()

    @property
    def is_complete(self) -> bool:
        """Whether one whole ttl was watched without a break."""
        if not self._readings:
            return False
        return self._readings[-1].own_seconds - self._readings[0].own_seconds >= self._ttl_seconds

    def _continues(self, first: Reading, reading: Reading) -> bool:
        own = reading.own_seconds - first.own_seconds
        theirs = (reading.clock - first.clock).total_seconds()
        return reading.origin == first.origin and abs(theirs - own) <= self._tolerance_seconds
