"""Membership: joins the cluster, knows who is in it, and leaves it.

Authority is the table `nodes`; NOTIFY `node_events` says when to read it again,
every reconnect of the listener does, and so does a heartbeat that sees another
version of the membership. So a lost notification costs a heartbeat.
"""

import asyncio
import math
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from server import __version__
from server.cluster.figures import ClusterFigures, changes
from server.cluster.heartbeat import STATEMENTS, Beat, Pace, Peer
from server.cluster.lease import boot_time
from server.cluster.lifelock import LifeLock, LockIdentity, boot_id, clear_stale
from server.cluster.registration import Registrar
from server.cluster.tenure import Tenure, TenureEvents
from server.errors import DatabaseUnavailableError
from server.postgres.connections import Database
from server.settings import Settings

GATHER_SECONDS = 0.05  # a crowd of changes at one moment costs one reading

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Member:
    """One node that is not dead, as last read. joined_at: CLOCK_BOOTTIME, seconds."""

    name: str
    incarnation: int
    state: str
    tasks: frozenset[str]
    joined_at: float


class Membership:
    """This node's place in the cluster."""

    def __init__(
        self, settings: Settings, url: str, name: str, database: Database, changed: Callable[[], None]
    ) -> None:
        self.name = name
        self.members = ()
        self.peers: tuple[Peer, ...] = ()
        self.figures = ClusterFigures()
        self.quiet_since = boot_time()
        self.joined_at = boot_time()
        # How many instances were started at one moment, this one included; on a busy
        # machine the last of them may be seconds behind.
        self.siblings = 1
        self._settings = settings
        self._url = url
        self._database = database
        self._changed = changed
        self._version: int | None = None
        self._refreshing: asyncio.Task[None] | None = None
        self._again = False
        self.ttl_seconds = settings.cluster.ttl_seconds
        self._pace = Pace(
            settings.cluster.heartbeat_seconds,
            settings.cluster.ttl_seconds,
            settings.cluster.margin_seconds,
            settings.cluster.proof_of_death,
        )

    @property
    def members(self) -> tuple[Member, ...]:
        """All that are not dead, as last read."""
        return self._members

    @members.setter
    def members(self, members: tuple[Member, ...]) -> None:
        self._members = members
        # Asked for of each member at each decision: counted there, it would take the square of their number.
        self._live = sum(member.state == "live" for member in members)
        self._oldest_joined_at = min((member.joined_at for member in members), default=math.inf)

    @property
    def lock_folder(self) -> Path:
        """Where the nodes of this host have their lock files."""
        return self._settings.var_folder / "run" / "locks"

    # Joining

    async def join(self, events: TenureEvents, tasks: Sequence[str], address: str, pid: int) -> Tenure:
        """Registers under a new incarnation and starts to beat.

        Waits while the database is away, and while an earlier holder of the name
        may live. Raises NameInUseError when that holder renews its lease.
        """
        lock = LifeLock(self.lock_folder, self.name)
        tenure = Tenure(self.name, lock, events, self.figures)
        registration = {
            "name": self.name,
            "host": socket.gethostname(),
            "pid": pid,
            "url": address,
            "version": __version__,
            "tasks": sorted(tasks),
            "ttl_seconds": self._pace.ttl_seconds,
            "boot_id": lock.identity.boot_id,
            "lock_path": lock.identity.path,
            "lock_device": lock.identity.device,
            "lock_inode": lock.identity.inode,
        }
        try:
            incarnation, lease = await Registrar(self._url, self.name, self._pace).register(registration)
        except BaseException:
            await tenure.end()
            raise
        self.joined_at = boot_time()
        self.figures.joins += 1
        tenure.begin(incarnation, lease, self._url, self._pace)
        clear_stale(self.lock_folder, self.name, lock.path)
        log.info("joined the cluster", node=self.name, incarnation=incarnation)
        return tenure

    # Knowing

    def heard(self, beat: Beat) -> None:
        """Reads the members again if a heartbeat saw another version of them."""
        if beat.membership != self._version:
            self.refresh_soon()

    def refresh_soon(self) -> None:
        """Reads the members in a moment; calls while one is under way lead to one more."""
        self._again = True
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.create_task(self._refresh_while_asked())

    async def _refresh_while_asked(self) -> None:
        while self._again:
            await asyncio.sleep(GATHER_SECONDS)
            self._again = False
            try:
                await self.refresh()
            except DatabaseUnavailableError as error:
                # The next heartbeat that gets through sees the old version and asks again.
                log.debug("members could not be read", error=str(error))

    async def refresh(self) -> None:
        """Reads the members; calls `changed` if they did."""
        rows = await self._database.rows(STATEMENTS["members"])
        now = boot_time()
        members = tuple(
            Member(row.name, row.incarnation, row.state, frozenset(row.tasks), now - row.age_seconds)
            for row in rows
        )
        self._version = rows[0].version if rows else None
        before, self.members = self.members, members
        self.peers = tuple(
            Peer(
                row.name,
                row.incarnation,
                LockIdentity(row.boot_id, row.lock_path, row.lock_dev, row.lock_ino),
            )
            for row in rows
            if row.name != self.name and row.boot_id == boot_id()
        )
        if _identities(before) != _identities(members):
            self.figures.changes.update(changes(before, members))
            self.quiet_since = boot_time()
            live = [member.name for member in members if member.state == "live"]
            log.info("members changed", node=self.name, version=self._version, live=live)
            self._changed()

    @property
    def is_settled(self) -> bool:
        """Whether this node may start runs: all are here and nobody came or went for a while.

        Or it has waited long enough.
        """
        return boot_time() >= self.settled_at(self.joined_at)

    def settled_at(self, joined_at: float) -> float:
        """From when on a node that joined at that moment starts runs, as things are now."""
        cluster = self._settings.cluster
        latest = joined_at + cluster.settle_seconds_max
        # Where somebody was here long before, this is no common start: in a rolling restart the
        # next one has gone when this one comes, and its tasks would wait for all the others.
        is_common = joined_at - self._oldest_joined_at < cluster.settle_seconds_max
        if is_common and self._live < self.siblings:
            return latest
        return min(latest, self.quiet_since + cluster.settle_seconds)

    # Leaving

    async def drain(self, tenure: Tenure) -> None:
        """Tells everybody that this node starts nothing any more; heartbeats go on."""
        await self._database.rows(
            STATEMENTS["drain"], {"name": self.name, "incarnation": tenure.incarnation}, deadline_seconds=2
        )

    async def leave(self, tenure: Tenure) -> None:
        """Takes this node off the list, after its last run has ended."""
        await self._database.rows(
            STATEMENTS["leave"], {"name": self.name, "incarnation": tenure.incarnation}, deadline_seconds=2
        )
        log.info("left the cluster", node=self.name, incarnation=tenure.incarnation)


def _identities(members: Sequence[Member]) -> set[tuple[str, int, str, frozenset[str]]]:
    return {(member.name, member.incarnation, member.state, member.tasks) for member in members}
