"""A heartbeat as a node has it, on a real database, and what it told."""

from datetime import timedelta

import psycopg

from server.cluster.heartbeat import Beat, Heartbeat, Pace, Peer
from server.cluster.lease import Lease, boot_time

TTL_SECONDS = 3.0
MARGIN_SECONDS = 2.0


class Beating:
    """Beats five times a second, under the name of a member that it makes.

    url: how the heartbeat connects. connection: of the application, for the test's own questions.
    The member's own lease lasts for hours, so that a stepped clock ends that of others and not this one;
    the watch goes by `pace`.
    """

    def __init__(
        self, url: str, connection: psycopg.Connection, lease: timedelta = timedelta(hours=9)
    ) -> None:
        self.connection = connection
        self.pace = Pace(0.2, TTL_SECONDS, MARGIN_SECONDS, proof_of_death=False)
        self.leases: list[Lease] = []
        self.beats: list[Beat] = []
        self.refusals = 0
        self.name = "watcher"
        self.incarnation = self.register(self.name, lease)
        self.thread = Heartbeat(url, self.pace, self, Lease(boot_time(), 3600, MARGIN_SECONDS))

    def register(self, name: str, lease: timedelta) -> int:
        """Makes a member that publishes no lock; returns its incarnation."""
        ((incarnation,),) = self.connection.execute(
            "select incarnation from register_node(%s, 'host', 1, 'http://x', '1', array['backup'], %s, 'boot', '/l', 1, 1)",
            [name, lease],
        ).fetchall()
        return incarnation

    def state(self, name: str) -> str:
        """What the table says of a member."""
        return self.connection.execute("select state from nodes where name = %s", [name]).fetchone()[0]

    # What the heartbeat's threads call.

    def renewed(self, lease: Lease, beat: Beat) -> None:
        self.leases.append(lease)
        self.beats.append(beat)

    def refused(self) -> None:
        self.refusals += 1

    def missed(self) -> None:
        pass

    def at_risk(self) -> None:
        pass

    def guardian_overdue(self) -> None:
        pass

    def peers(self) -> tuple[Peer, ...]:
        return ()

    def __enter__(self) -> "Beating":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.thread.stop()
        self.thread.join(10)
        assert not self.thread.is_alive()
