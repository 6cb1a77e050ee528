"""Taking a name in the cluster, and what becomes of one who had it before.

The earlier holder
    proven dead           its lock is free on this host: it is declared dead, and the name taken
    silent                its lease has passed, on a clock that was watched for long enough: the same
    renews its lease      two processes have one name: NameInUseError
"""

import asyncio
from datetime import datetime
from typing import Any

import psycopg
import structlog

from server.cluster.heartbeat import ATTEMPT_SECONDS_MAX, STATEMENTS, Pace
from server.cluster.lease import Lease, boot_time
from server.cluster.lifelock import LockIdentity, is_proven_dead
from server.cluster.watch import Reading, Watch
from server.errors import NameInUseError
from server.postgres.back_off import BackOff
from server.postgres.faults import is_stale_session, is_transient, reason_of
from server.postgres.profile import Profile
from server.postgres.sessions import TimedAsyncConnection

RETRY_SECONDS = 1.0

log = structlog.get_logger(__name__)


class Registrar:
    """Registers one node, over a connection of its own."""

    def __init__(self, url: str, name: str, pace: Pace) -> None:
        self._name = name
        self._pace = pace
        self._profile = Profile(url, f"ringfence {name} join", part="join")

    async def register(self, registration: dict[str, Any]) -> tuple[int, Lease]:
        """The incarnation and its first lease.

        Waits while the database is away or takes no writes, and while an earlier holder
        of the name may live. Raises NameInUseError when that holder renews its lease.
        """
        back_off = BackOff(RETRY_SECONDS)
        while True:
            try:
                async with await TimedAsyncConnection.open(self._profile) as connection:
                    return await self._register_over(connection, registration)
            except psycopg.Error as error:
                if not (is_transient(error) or is_stale_session(error)):
                    raise
                log.debug("waiting for the database before joining", error=reason_of(error))
                await asyncio.sleep(back_off.pause())

    async def _register_over(
        self, connection: TimedAsyncConnection, registration: dict[str, Any]
    ) -> tuple[int, Lease]:
        """Registers, if need be after the earlier holder of the name is proven dead or has expired."""
        watch = Watch(self._pace.ttl_seconds, self._pace.margin_seconds, RETRY_SECONDS + ATTEMPT_SECONDS_MAX)
        seen: tuple[int, datetime] | None = None
        while True:
            sent_at = boot_time()
            row = await (await connection.execute(STATEMENTS["register"], registration)).fetchone()
            assert row is not None, "register_node() returns one row"
            if row.incarnation is not None:
                return row.incarnation, Lease(sent_at, self._pace.ttl_seconds, self._pace.margin_seconds)

            holder = (row.holder_incarnation, row.holder_heartbeat_at)
            if self._pace.proof_of_death and await self._buried_by_proof(connection):
                continue
            if seen is None:
                log.warning(
                    "the name is held; waiting for its lease to pass",
                    node=self._name,
                    host=row.holder_host,
                    pid=row.holder_pid,
                    lease_seconds=row.holder_lease.total_seconds(),
                )
                seen = holder
            elif holder != seen:
                raise NameInUseError(
                    f"the name {self._name} is in use: process {row.holder_pid} on {row.holder_host} "
                    f"renews its lease. Give this instance another name, or stop that one."
                )
            asked_at = boot_time()
            clock = await (await connection.execute(STATEMENTS["clock"])).fetchone()
            assert clock is not None, "cluster_clock() returns one row"
            watch.observe(Reading(asked_at, boot_time(), clock.clock, (clock.server_started, clock.timeline)))
            if watch.is_complete and row.holder_lease.total_seconds() < 0:
                watched = {"server_started": clock.server_started, "timeline": clock.timeline}
                watched["clock_max"] = watch.clock_max(boot_time())
                await connection.execute(STATEMENTS["sweep"], watched)
                continue
            await asyncio.sleep(RETRY_SECONDS)

    async def _buried_by_proof(self, connection: TimedAsyncConnection) -> bool:
        rows = await (await connection.execute(STATEMENTS["members"])).fetchall()
        for row in rows:
            identity = LockIdentity(row.boot_id, row.lock_path, row.lock_dev, row.lock_ino)
            if row.name == self._name and is_proven_dead(identity):
                await connection.execute(
                    STATEMENTS["declare_dead"],
                    {
                        "name": row.name,
                        "incarnation": row.incarnation,
                        "reason": "all its processes are gone; another incarnation takes its name",
                    },
                )
                return True
        return False
