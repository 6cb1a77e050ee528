"""The heartbeat: renews the lease from a thread and a connection of its own.

A blocked event loop then neither loses the lease nor hides a death, and nothing
that the loop does can delay the soft stop.

Formula of the deadline: see lease.py. The node's clock is read before the
heartbeat is sent, so a slow answer never extends the lease.

Way
    The same as that of everything else, through a pooler too: the lease says that this node
    can do its work, so a node whose pooler is gone must lose it. What the watch rests on is
    asked with every beat, and once more by the sweep itself: server start and timeline, which
    tell one server from another whoever passes the statements on.

Failures
    no answer in 2 s      the socket is closed, the next attempt begins at once
    broken off, no way    the next attempt begins 0.5 s after this one at the latest:
                          several fit before the soft stop
    refused               the lease is over: every run is stopped at once
    nothing until the     runs are stopped by a thread that waits for nothing else
    soft stop             (softstop.py); the node lives on
    nor the guardian      the same thread kills it, and with it its jobs
"""

import threading
from dataclasses import dataclass
from typing import Protocol

import psycopg
import structlog

from server.cluster.lease import Lease, boot_time
from server.cluster.lifelock import LockIdentity, is_proven_dead
from server.cluster.softstop import SoftStop
from server.cluster.watch import Reading, Watch
from server.postgres.back_off import BackOff
from server.postgres.faults import reason_of
from server.postgres.profile import Profile
from server.postgres.sessions import Row, TimedConnection
from server.postgres.statements import load

ATTEMPT_SECONDS_MAX = 2.0
CALL_SECONDS_MIN = 0.1  # for a heartbeat whose connect took nearly all of an attempt
BACK_OFF_SECONDS_MAX = 0.5
STATEMENTS = load("server.cluster", "nodes.sql")

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Beat:
    """What one successful heartbeat told.

    sent_at: CLOCK_BOOTTIME, seconds. answer_seconds: from then to its answer. clock_steps:
    how often the database's clock was seen to step until then, since this thread began.
    """

    sent_at: float
    membership: int
    runs: frozenset[int]
    cancels: frozenset[int]
    answer_seconds: float = 0.0
    clock_steps: int = 0


@dataclass(frozen=True)
class Peer:
    """A member whose death can be proven on this host."""

    name: str
    incarnation: int
    lock: LockIdentity


class Holder(Protocol):
    """Who holds the lease, under which name and incarnation, and hears of the heartbeat.

    Every method is called in the heartbeat's thread.
    """

    name: str
    incarnation: int

    def renewed(self, lease: Lease, beat: Beat) -> None:
        """The lease was renewed."""

    def refused(self) -> None:
        """The lease is over, for good."""

    def missed(self) -> None:
        """One attempt has failed; another follows."""

    def at_risk(self) -> None:
        """The soft stop has come without a renewal; stop every run now."""

    def guardian_overdue(self) -> None:
        """The guardian's deadline has passed too; see that nothing runs."""

    def peers(self) -> tuple[Peer, ...]:
        """Whose death to look for."""


@dataclass(frozen=True)
class Pace:
    """How often, how long, and whether deaths are proven; seconds."""

    heartbeat_seconds: float
    ttl_seconds: float
    margin_seconds: float
    proof_of_death: bool


class Heartbeat(threading.Thread):
    """Beats until it is stopped or refused."""

    def __init__(self, url: str, pace: Pace, holder: Holder, lease: Lease) -> None:
        super().__init__(name=f"heartbeat-{holder.name}", daemon=True)
        self._profile = Profile(
            url,
            f"ringfence {holder.name} heartbeat",
            part="heartbeat",
            # For the whole attempt, whatever the URL says about connecting.
            open_seconds_max=ATTEMPT_SECONDS_MAX,
            # Without synchronous_commit twice as fast, and safe: a lost renewal only
            # shortens a lease, and a restart begins every watch anew.
            settings={"statement_timeout": "2s", "synchronous_commit": "off"},
        )
        self._member = {"name": holder.name, "incarnation": holder.incarnation}
        self._pace = pace
        self._holder = holder
        self._soft_stop = SoftStop(lease, holder)
        # One failed attempt between two readings does no harm; its connection is lost anyway.
        self._watch = Watch(
            pace.ttl_seconds, pace.margin_seconds, pace.heartbeat_seconds + ATTEMPT_SECONDS_MAX
        )
        self._connection: TimedConnection | None = None
        self._connections_made = 0
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Ends the thread after the attempt that is under way; does not wait."""
        self._stopped.set()
        self._soft_stop.stop()

    def run(self) -> None:
        self._soft_stop.start()
        try:
            self._beat_on()
        except Exception:
            # Without renewals the lease would end all the same, and this node be nobody for ever.
            log.exception("the heartbeat cannot go on", **self._member)
            self._holder.refused()
        # After a refusal the soft stop goes on: a frozen guardian may still hold runs.
        self._disconnect()

    def _beat_on(self) -> None:
        """Beats until it is stopped or refused."""
        back_off = BackOff(BACK_OFF_SECONDS_MAX)
        while not self._stopped.is_set():
            began = boot_time()
            try:
                alive = self._beat()
            except psycopg.Error as error:
                self._disconnect()
                self._holder.missed()
                # From the attempt's beginning: who waited in vain has rested meanwhile, and a
                # database that is away for 10 s leaves a second until the soft stop.
                pause = max(0.0, back_off.pause() - (boot_time() - began))
                log.debug("a heartbeat failed", error=reason_of(error), pause_seconds=round(pause, 3))
            else:
                if not alive:
                    break
                back_off = BackOff(BACK_OFF_SECONDS_MAX)
                pause = max(0.0, self._pace.heartbeat_seconds - (boot_time() - began))
            self._stopped.wait(pause)

    def _beat(self) -> bool:
        """One attempt; False when the lease was refused."""
        began = boot_time()
        connection = self._connect()
        sent_at = boot_time()
        connection.call_seconds_max = max(CALL_SECONDS_MIN, began + ATTEMPT_SECONDS_MAX - sent_at)
        row = connection.execute(STATEMENTS["heartbeat"], self._member).fetchone()
        heard_at = boot_time()
        assert row is not None, "heartbeat() returns one row"
        if not row.renewed:
            # First the stop, then the news of it: a log that nobody reads any more blocks.
            self._holder.refused()
            log.error("heartbeat refused: the lease is over", **self._member)
            return False
        lease = Lease(sent_at, self._pace.ttl_seconds, self._pace.margin_seconds)
        self._soft_stop.renew(lease)
        beat = Beat(
            sent_at,
            row.membership,
            frozenset(row.runs),
            frozenset(row.cancels),
            heard_at - sent_at,
            self._watch.steps,
        )
        self._holder.renewed(lease, beat)
        self._watch.observe(
            Reading(sent_at, heard_at, row.clock, (self._connections_made, row.server_started, row.timeline))
        )
        self._bury_the_dead(connection, row)
        return True

    def _bury_the_dead(self, connection: TimedConnection, told: Row) -> None:
        if self._pace.proof_of_death:
            for peer in self._holder.peers():
                if is_proven_dead(peer.lock):
                    self._declare_dead(connection, peer)
        if told.expired and self._watch.is_complete:
            watched = {
                "clock_max": self._watch.clock_max(boot_time()),
                "server_started": told.server_started,
                "timeline": told.timeline,
            }
            swept = connection.execute(STATEMENTS["sweep"], watched).fetchone()
            if swept is not None and swept.dead_nodes:
                log.warning("leases passed", nodes=swept.dead_nodes, runs=swept.lost_runs)

    def _declare_dead(self, connection: TimedConnection, peer: Peer) -> None:
        row = connection.execute(
            STATEMENTS["declare_dead"],
            {"name": peer.name, "incarnation": peer.incarnation, "reason": "all its processes are gone"},
        ).fetchone()
        if row is not None and row.runs is not None:
            log.warning("node is proven dead", node=peer.name, incarnation=peer.incarnation, runs=row.runs)

    def _connect(self) -> TimedConnection:
        if self._connection is None:
            self._connection = TimedConnection.open(self._profile)
            self._connections_made += 1
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._watch.reset()
