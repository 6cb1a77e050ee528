"""The soft stop, and the hard one for a frozen guardian: a thread that does nothing
but wait for the end of the lease.

Apart from the heartbeat, whose attempt to connect may take seconds just then, and
from the event loop, which a job's outcome may block.
"""

import threading
from typing import Protocol

from server.cluster.lease import Lease, boot_time

# Event.wait() counts on a clock that stands still while the machine sleeps.
SLICE_SECONDS = 0.5


class Endangered(Protocol):
    """Who hears that a lease is about to end; every method is called in this thread."""

    def at_risk(self) -> None:
        """The soft stop has come without a renewal; stop every run now."""

    def guardian_overdue(self) -> None:
        """The guardian's own deadline has passed, and we still live: see that nothing runs."""


class SoftStop(threading.Thread):
    """Calls each method once for each lease that comes so far without a renewal."""

    def __init__(self, lease: Lease, endangered: Endangered) -> None:
        super().__init__(name="soft-stop", daemon=True)
        self._lease = lease
        self._endangered = endangered
        self._stopped_for: Lease | None = None
        self._overdue_for: Lease | None = None
        self._ended = threading.Event()

    def renew(self, lease: Lease) -> None:
        """A later end counts from now on."""
        self._lease = lease

    def stop(self) -> None:
        """Ends the thread; does not wait."""
        self._ended.set()

    def run(self) -> None:
        while not self._ended.is_set():
            lease, now = self._lease, boot_time()
            if now < lease.soft_stop_at:
                self._ended.wait(min(lease.soft_stop_at - now, SLICE_SECONDS))
            elif self._stopped_for is not lease:
                self._stopped_for = lease
                self._endangered.at_risk()
            elif now >= lease.guardian_overdue_at and self._overdue_for is not lease:
                self._overdue_for = lease
                self._endangered.guardian_overdue()
            else:
                self._ended.wait(SLICE_SECONDS / 5)
