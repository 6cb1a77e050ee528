"""Until when each run may go on, kept by the guardian: a loop that is blocked keeps nothing.

Jobs are asked to end by the event loop. That they do is enforced by the guardian:
past its deadline a process is killed, and for a run that lives in the node's own
loop the node is, since a coroutine can only be asked, and what it does wrong may be
to block the loop that would ask.

Formula
    begun        the run's timeout and a grace from now
    asked        a grace from now, unless the deadline was earlier; asked again
                 (by every heartbeat, say) it stays as it is
    soft stop    half of what is left to the hard stop, for processes; the node shall
                 live on. A run in the loop has all of it, and the node with it
    ended        none

Failures
    loop blocked at a timeout           the guardian kills without asking
    loop blocked when a cancel comes    the heartbeat's thread hears of it and asks
                                        the guardian for the grace
    run taken away, lease refused       the same
    guardian replaced                   told everything again; its processes are gone

May be called from the event loop and from the heartbeat's thread.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

from server.cluster.guardianship import GuardianGoneError, Guardianship
from server.cluster.heartbeat import Beat
from server.cluster.lease import boot_time

GRACE_SECONDS = 1.0
"""Between asking a job to stop and enforcing it."""


@dataclass(frozen=True)
class Deadline:
    """Of one run. since, until: CLOCK_BOOTTIME, seconds. why: what is said of a run that it ends."""

    since: float
    until: float
    why: str
    in_loop: bool


class Deadlines:
    """Of all runs of one tenure."""

    def __init__(self, guardian: Callable[[], Guardianship], gone: Callable[[], None]) -> None:
        self._guardian = guardian
        self._gone = gone
        self._runs: dict[int, Deadline] = {}
        # Over the runs and what is sent about them: the order of the two must agree.
        self._guard = threading.Lock()

    def begin(self, run_id: int, timeout_seconds: float, *, in_loop: bool = False) -> bool:
        """A run begins; False: the guardian can't be told, so it must not."""
        with self._guard:
            now = boot_time()
            self._runs[run_id] = Deadline(now, now + timeout_seconds + GRACE_SECONDS, "timed_out", in_loop)
            told = self._tell(run_id)
            if not told:
                del self._runs[run_id]
            return told

    def hurry(self, run_id: int, why: str) -> None:
        """A run is asked to end; past the grace it is ended."""
        with self._guard:
            self._hurry(run_id, why)

    def hurry_all(self, why: str) -> None:
        """Every run is asked to end; see hurry()."""
        with self._guard:
            for run_id in self._runs:
                self._hurry(run_id, why)

    def hurry_processes(self, why: str, grace_seconds: float) -> None:
        """Every run that can be ended without its node has this long from now."""
        with self._guard:
            for run_id, deadline in self._runs.items():
                if not deadline.in_loop:
                    self._hurry(run_id, why, grace_seconds)

    def end(self, run_id: int) -> None:
        """A run is over, and nothing that it started goes on."""
        with self._guard:
            if self._runs.pop(run_id, None) is None:
                return
            try:
                self._guardian().unlimit(run_id)
            except GuardianGoneError:
                self._gone()

    def tell_again(self) -> None:
        """Another guardian has taken over."""
        with self._guard:
            for run_id, deadline in self._runs.items():
                if deadline.in_loop:
                    self._tell(run_id)

    def heard(self, beat: Beat) -> None:
        """A heartbeat told what shall run here; in its own thread, so that a blocked loop hides nothing."""
        with self._guard:
            for run_id, deadline in self._runs.items():
                if run_id in beat.cancels:
                    self._hurry(run_id, "cancelled")
                elif deadline.since < beat.sent_at and run_id not in beat.runs:
                    self._hurry(run_id, "lost")

    def _hurry(self, run_id: int, why: str, grace_seconds: float = GRACE_SECONDS) -> None:
        deadline, until = self._runs.get(run_id), boot_time() + grace_seconds
        if deadline is not None and until < deadline.until:
            self._runs[run_id] = replace(deadline, until=until, why=why)
            self._tell(run_id)

    def _tell(self, run_id: int) -> bool:
        deadline = self._runs[run_id]
        try:
            self._guardian().limit(run_id, deadline.until, deadline.why, in_loop=deadline.in_loop)
        except GuardianGoneError:
            self._gone()
            return False
        return True
