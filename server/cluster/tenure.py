"""One incarnation of this node: its lock, its lease, its guardian, its heartbeat.

A tenure begins with a registration and ends for good: when the lease is lost
the node begins another one, with a new lock, guardian and incarnation.
"""

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog

from server.cluster import hard_stops
from server.cluster.deadlines import Deadlines
from server.cluster.figures import ClusterFigures
from server.cluster.guardianship import GuardianGoneError, Guardianship
from server.cluster.heartbeat import Beat, Heartbeat, Pace, Peer
from server.cluster.lease import SOFT_STOP_SECONDS, Lease, boot_time
from server.cluster.lifelock import LifeLock

ARM_SECONDS_MAX = 1.0
GUARDIAN_SILENCE_SECONDS_MAX = 3.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class TenureEvents:
    """Who hears of what; every one is called in the event loop."""

    beaten: Callable[[Beat], None]
    at_risk: Callable[[], None]
    lost: Callable[[], None]
    told_by_guardian: Callable[[dict[str, Any]], None]
    guardian_gone: Callable[[], None]


class Tenure:
    """The right to run tasks under one incarnation, and the means to enforce its end."""

    def __init__(
        self, name: str, lock: LifeLock, events: TenureEvents, figures: ClusterFigures | None = None
    ) -> None:
        self.name = name
        self.figures = figures or ClusterFigures()
        self.incarnation = 0
        self.lock = lock
        self.is_over = False
        self.guardian = Guardianship(lock.fd, hard_stops.path_beside(lock, name))
        self._events = events
        self._loop = asyncio.get_running_loop()
        self._lease: Lease | None = None
        self._heartbeat: Heartbeat | None = None
        self._peers: tuple[Peer, ...] = ()
        self._holds = 0
        self._loop_jobs = 0
        self._clock_steps = 0
        self._risk_untold = False  # set by the heartbeat's side, until the loop has heard of it
        self.deadlines = Deadlines(lambda: self.guardian, self._guardian_gone_in_any_thread)
        self._guard = threading.Lock()  # over the lease and the holds, which two threads change
        self._armed = asyncio.Event()
        self._awaited_serial = 0
        self._awaited_since = boot_time()
        self._loop.add_reader(self.guardian.socket, self._hear_guardian)

    def begin(self, incarnation: int, lease: Lease, url: str, pace: Pace) -> None:
        """The registration was granted: starts to beat."""
        self.incarnation = incarnation
        self._lease = lease
        self._heartbeat = Heartbeat(url, pace, self, lease)
        self._heartbeat.start()

    @property
    def has_begun(self) -> bool:
        """Whether a lease was ever granted under it."""
        return self._lease is not None

    @property
    def lease(self) -> Lease:
        """The newest lease."""
        assert self._lease is not None, "a tenure has a lease from begin() on"
        return self._lease

    @property
    def allows_start(self) -> bool:
        """Whether a run may begin now."""
        return not self.is_over and self._lease is not None and self._lease.allows_start(boot_time())

    def set_peers(self, peers: tuple[Peer, ...]) -> None:
        """Whose death the heartbeat looks for from now on."""
        self._peers = peers

    async def hold(self, *, in_loop: bool = False) -> bool:
        """Arms the guardian for one more run, before the run is asked for.

        False: the guardian did not confirm, so nothing may be started.
        """
        with self._guard:
            self._holds += 1
            self._loop_jobs += in_loop
            serial = self._arm()
        deadline = boot_time() + ARM_SECONDS_MAX
        while serial is not None and not self.guardian.answered(serial):
            self._armed.clear()
            try:
                async with asyncio.timeout(max(0.001, deadline - boot_time())):
                    await self._armed.wait()
            except TimeoutError:
                serial = None
        if serial is None:
            self.release(in_loop=in_loop)
        return serial is not None

    def release(self, *, in_loop: bool = False) -> None:
        """One run less; with the last one the guardian is disarmed."""
        with self._guard:
            self._holds -= 1
            self._loop_jobs -= in_loop
            try:
                if self._holds == 0:
                    self.guardian.disarm()
                elif in_loop:
                    self._arm()
            except GuardianGoneError:
                self._loop.call_soon(self._events.guardian_gone)

    def _arm(self) -> int | None:
        try:
            return self.guardian.arm(self.lease.hard_stop_at, self._loop_jobs)
        except GuardianGoneError:
            self._guardian_gone_in_any_thread()
            return None

    def _guardian_gone_in_any_thread(self) -> None:
        self._loop.call_soon_threadsafe(self._events.guardian_gone)

    # What the heartbeat's thread calls.

    def renewed(self, lease: Lease, beat: Beat) -> None:
        with self._guard:
            self._lease = lease
            if self._holds > 0:
                self._arm()
        self.deadlines.heard(beat)
        self._loop.call_soon_threadsafe(self._events.beaten, beat)
        self.figures.heartbeat_seconds.observe(beat.answer_seconds)
        self.figures.clock_steps += beat.clock_steps - self._clock_steps
        self._clock_steps = beat.clock_steps

    def missed(self) -> None:
        self.figures.heartbeats_failed += 1

    def refused(self) -> None:
        self.is_over = True
        self._kill_all()
        self.figures.refusals += 1
        self.deadlines.hurry_all("lost")
        self._loop.call_soon_threadsafe(self._events.lost)

    # Whoever must stop something does so before it says so: a log that nobody reads any
    # more blocks, and the lease goes on to end.

    def at_risk(self) -> None:
        self._risk_untold = True
        self.deadlines.hurry_processes("interrupted", SOFT_STOP_SECONDS / 2)
        self._loop.call_soon_threadsafe(self._tell_risk)
        self.figures.soft_stops += 1
        log.error("no renewal before the soft stop: all runs are stopped", node=self.name)

    def guardian_overdue(self) -> None:
        with self._guard:
            holding, in_loop = self._holds > 0, self._loop_jobs > 0
        if holding:
            self.guardian.end_at_once()
        if in_loop:
            # Asked a second ago at the latest; nobody else is left to end it.
            os.kill(os.getpid(), signal.SIGKILL)
        if holding:
            log.error("the guardian let its deadline pass and is killed with its jobs", node=self.name)

    def peers(self) -> tuple[Peer, ...]:
        return self._peers

    def _kill_all(self) -> None:
        try:
            self.guardian.kill_all()
        except GuardianGoneError:
            self._guardian_gone_in_any_thread()

    # The guardian.

    def _hear_guardian(self) -> None:
        try:
            self.guardian.receive(self._heard)
        except GuardianGoneError as error:
            self._loop.remove_reader(self.guardian.socket)
            log.error("the guardian is gone", error=str(error), guardian_pid=self.guardian.pid)
            self._events.guardian_gone()

    def _tell_risk(self) -> None:
        if self._risk_untold:
            self._risk_untold = False
            self._events.at_risk()

    def _heard(self, message: dict[str, Any]) -> None:
        # A loop that was busy finds both waiting, in any order: a job that the soft stop
        # ended must not pass for one that died by itself, which would not be due again.
        self._tell_risk()
        if message["is"] == "armed":
            self._armed.set()
        else:
            self._events.told_by_guardian(message)

    def guardian_is_frozen(self) -> bool:
        """Whether the guardian has not answered for too long; asked at every heartbeat."""
        if self.guardian.socket.fileno() >= 0:
            # A loop that was blocked has not listened; what the guardian said meanwhile counts.
            self._hear_guardian()
        now = boot_time()
        asked, answered = self.guardian.serials
        if answered >= self._awaited_serial:
            self._awaited_serial, self._awaited_since = asked, now
        return now - self._awaited_since > GUARDIAN_SILENCE_SECONDS_MAX

    async def replace_guardian(self) -> None:
        """Ends the guardian with everything below it, then starts another under the same lock.

        Raises OSError if none can be started now; nothing is left of the old one all the
        same, and another call tries again.
        """
        old = self.guardian
        if old.socket.fileno() >= 0:  # not if a call before has ended it, or the tenure is over
            self._loop.remove_reader(old.socket)
            self.figures.guardians_lost += 1
            await asyncio.to_thread(old.end, 0.2)
        if self.is_over:
            return  # nothing is started under this tenure any more
        with self._guard:
            # Those who held runs let go of them one by one; nothing is armed before that.
            self.guardian = Guardianship(self.lock.fd, hard_stops.path_beside(self.lock, self.name))
            self._awaited_serial, self._awaited_since = 0, boot_time()
            if self._loop_jobs > 0:  # which no guardian takes along when it dies
                self._arm()
        self.deadlines.tell_again()
        self._loop.add_reader(self.guardian.socket, self._hear_guardian)
        log.info("a new guardian is in place", guardian_pid=self.guardian.pid)

    async def end(self, *, patience_seconds: float = 5.0) -> None:
        """Stops beating, ends the guardian and all jobs, and lets go of the lock."""
        self.is_over = True
        if self._heartbeat is not None:
            self._heartbeat.stop()
        if self.guardian.socket.fileno() >= 0:  # not if the guardian was ended before
            self._loop.remove_reader(self.guardian.socket)
        await asyncio.to_thread(self.guardian.end, patience_seconds)
        if self._heartbeat is not None:
            await asyncio.to_thread(self._heartbeat.join, 5.0)
        self.lock.release()
