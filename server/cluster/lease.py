"""Until when this node may hold runs, as simple arithmetic on its own clock.

The database grants `ttl` from the moment it executes a heartbeat; the node
counts from before it sent that heartbeat, which is earlier. So the node's end
always lies before the database's, whatever the two clocks show.

    sent ----------------- soft stop ---- hard stop ------------ sent + ttl <= lease_expires_at
                           ttl-margin-1s  ttl-margin

The guardian enforces the hard stop. A quarter of the margin later the node, if it
lives and still holds a run, takes its guardian for frozen and kills it: of the two
one gets to execute.

Pure: the clock is an argument. Every moment is CLOCK_BOOTTIME, in seconds.
"""

import time
from dataclasses import dataclass

SOFT_STOP_SECONDS = 1.0


def boot_time() -> float:
    """Seconds since boot on a clock that also counts suspended time and never steps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(frozen=True)
class Lease:
    """What one successful heartbeat gives."""

    sent_at: float
    ttl_seconds: float
    margin_seconds: float

    @property
    def hard_stop_at(self) -> float:
        """When the guardian kills what still runs."""
        return self.sent_at + self.ttl_seconds - self.margin_seconds

    @property
    def soft_stop_at(self) -> float:
        """When the node stops its runs by itself."""
        return self.hard_stop_at - SOFT_STOP_SECONDS

    @property
    def guardian_overdue_at(self) -> float:
        """When the node, if it still holds a run, takes its guardian for frozen and kills it."""
        return self.hard_stop_at + self.margin_seconds / 4

    def allows_start(self, now: float) -> bool:
        """Whether a new run may begin at `now`."""
        return now < self.soft_stop_at
