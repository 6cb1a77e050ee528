"""Whether this node has seen enough of the database's clock to judge a lease.

A lease that "has passed" on a clock that just jumped may belong to a node that
is alive. So before a node gives anything away it must have watched for one ttl
of its own clock, over one connection, one server start and one timeline, that
the database's clock advanced as its own did. Whatever breaks that begins the
watch anew; live nodes renew their leases meanwhile. And the sweep itself is told
how far the clock may have come by then, since it may step after the last look.

Pure: both clocks are arguments.
"""

from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


@dataclass(frozen=True)
class Reading:
    """One look at the database's clock.

    sent_seconds, heard_seconds: CLOCK_BOOTTIME of this node, before the question
        was sent and after its answer came: the clock was read in between.
    origin: what must stay the same: connection, server start, timeline.
    """

    sent_seconds: float
    heard_seconds: float
    clock: datetime
    origin: tuple[object, ...]

    @property
    def ahead_seconds_max(self) -> float:
        """How far ahead of this node's clock the database's can have been."""
        return self.clock.timestamp() - self.sent_seconds

    @property
    def ahead_seconds_min(self) -> float:
        """How far ahead it was at least."""
        return self.clock.timestamp() - self.heard_seconds


class Watch:
    """Follows readings; `is_complete` says whether a sweep is allowed now.

    steps: how often the database's clock was seen not to advance as this node's did.
    """

    def __init__(self, ttl_seconds: float, margin_seconds: float, gap_seconds_max: float) -> None:
        self._ttl_seconds = ttl_seconds
        self._tolerance_seconds = margin_seconds / 2
        self._gap_seconds_max = gap_seconds_max
        self._readings: deque[Reading] = deque()
        self.steps = 0

    def observe(self, reading: Reading) -> None:
        """Takes the next reading; begins anew if it does not continue those that are kept.

        Compared with all of them, so that neither a drift in small steps nor a step
        and another one back pass for steady; kept for two ttl, so that the honest
        drift of two clocks over a day does not count.
        """
        if self._readings and not self._is_next(reading):
            self._readings.clear()
        if self._readings and not self._is_steady(reading):
            self.steps += 1
            self._readings.clear()
        self._readings.append(reading)
        horizon = reading.sent_seconds - 2 * self._ttl_seconds
        while self._readings[0].sent_seconds < horizon:
            self._readings.popleft()

    def reset(self) -> None:
        """Forgets everything seen, as after a lost connection."""
        self._readings.clear()

    @property
    def is_complete(self) -> bool:
        """Whether one whole ttl was watched without a break."""
        if not self._readings:
            return False
        return self._readings[-1].sent_seconds - self._readings[0].heard_seconds >= self._ttl_seconds

    def clock_max(self, own_seconds: float) -> datetime:
        """What the database's clock shows at most at this moment of the node's own, if it went on steadily.

        Later than that it has stepped since the last reading, or much time has
        passed: either way nothing may be judged by it.
        """
        ahead = min(reading.ahead_seconds_min for reading in self._readings)
        return datetime.fromtimestamp(0, UTC) + timedelta(
            seconds=own_seconds + ahead + self._tolerance_seconds
        )

    def _is_next(self, reading: Reading) -> bool:
        last = self._readings[-1]
        # What the clock did in a gap, and undid, nobody saw.
        gap_seconds = reading.sent_seconds - last.sent_seconds
        return reading.origin == last.origin and gap_seconds <= self._gap_seconds_max

    def _is_steady(self, reading: Reading) -> bool:
        readings = (*self._readings, reading)
        highest = max(one.ahead_seconds_max for one in readings)
        lowest = min(one.ahead_seconds_min for one in readings)
        return highest - lowest <= self._tolerance_seconds
