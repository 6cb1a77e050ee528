"""The soft stop: a thread that does nothing but wait for the end of the lease.

Apart from the heartbeat, whose attempt to connect may take seconds just then.
"""

import threading
from collections.abc import Callable

from server.cluster.lease import Lease, boot_time

# Event.wait() counts on a clock that stands still while the machine sleeps.
SLICE_SECONDS = 0.5


class SoftStop(threading.Thread):
    """Calls `at_risk` once for each lease that reaches its soft stop without a renewal."""

    def __init__(self, lease: Lease, at_risk: Callable[[], None]) -> None:
        super().__init__(name="soft-stop", daemon=True)
        self._lease = lease
        self._at_risk = at_risk
        self._called_for: Lease | None = None
        self._ended = threading.Event()

    def renew(self, lease: Lease) -> None:
        """A later end counts from now on."""
        self._lease = lease

    def stop(self) -> None:
        """Ends the thread; does not wait."""
        self._ended.set()

    def run(self) -> None:
        while not self._ended.is_set():
            lease = self._lease
            left = lease.soft_stop_at - boot_time()
            if left > 0:
                self._ended.wait(min(left, SLICE_SECONDS))
            elif self._called_for is not lease:
                self._called_for = lease
                self._at_risk()
            else:
                self._ended.wait(SLICE_SECONDS / 5)
