"""A database that is away for ten seconds, at every moment between two heartbeats: the loop of
the heartbeat itself, on a clock and with attempts that the test decides on."""

import math
from dataclasses import dataclass

import psycopg
import pytest

from server.cluster import heartbeat
from server.cluster.heartbeat import ATTEMPT_SECONDS_MAX, Heartbeat, Pace
from server.cluster.lease import Lease
from server.settings.sections import Cluster

AWAY_SECONDS = 10.0
COST_SECONDS = 0.02
"""What opening a connection, or closing it, takes."""
SLACK_SECONDS = 0.4
"""What has to be left for a busy machine."""
SHIPPED = Cluster()
PACE = Pace(SHIPPED.heartbeat_seconds, SHIPPED.ttl_seconds, SHIPPED.margin_seconds, proof_of_death=False)


@dataclass
class Away:
    """A database that is away from `began` for ten seconds, and a clock that only it moves.

    manner: refuses at once; swallows, so that a packet is lost, and what connects sends its
    first one again after a second; holds, as a proxy does, until it is back.
    """

    manner: str
    began: float
    now: float = 0.0

    def wait(self, seconds: float) -> bool:
        self.now += seconds
        return False

    def answered_at(self) -> float:
        """When an attempt that begins now has its answer; infinity for never."""
        back = self.began + AWAY_SECONDS
        if not self.began <= self.now < back:
            return self.now + COST_SECONDS
        match self.manner:
            case "refuses":
                return math.inf
            case "swallows":
                return next((at + COST_SECONDS for at in (self.now, self.now + 1) if at >= back), math.inf)
            case _:
                return back + COST_SECONDS

    def attempt(self) -> None:
        """Ends with the answer, or raises what the driver would."""
        began, answered_at = self.now, self.answered_at()
        if answered_at <= began + ATTEMPT_SECONDS_MAX:
            self.now = answered_at
            return
        self.now += COST_SECONDS + (0 if self.manner == "refuses" else ATTEMPT_SECONDS_MAX)
        raise psycopg.OperationalError("away")


class Nobody:
    """Holds the lease, and hears nothing of it."""

    name = "node-1"
    incarnation = 1

    def missed(self) -> None:
        pass


class Beating(Heartbeat):
    """The real loop. Beats until the first answer after the outage."""

    def __init__(self, away: Away) -> None:
        super().__init__("", PACE, Nobody(), Lease(0.0, PACE.ttl_seconds, PACE.margin_seconds))
        self.away = away
        self.sent_at = 0.0
        self.back_at: float | None = None
        self._stopped = self

    def is_set(self) -> bool:
        return self.back_at is not None

    def wait(self, seconds: float) -> bool:
        return self.away.wait(seconds)

    def _beat(self) -> bool:
        sent_at = self.away.now
        self.away.attempt()
        if self.away.now > self.away.began + AWAY_SECONDS:
            self.back_at = self.away.now
        else:
            self.sent_at = sent_at
        return True


@pytest.mark.parametrize("manner", ["refuses", "swallows", "holds"])
@pytest.mark.parametrize("moment", range(50))
def test_a_database_that_is_away_for_ten_seconds_is_heard_again_before_the_soft_stop(
    monkeypatch, manner, moment
):
    away = Away(manner, began=5 + PACE.heartbeat_seconds * moment / 50)
    monkeypatch.setattr(heartbeat, "boot_time", lambda: away.now)
    beating = Beating(away)
    beating._beat_on()
    last = Lease(beating.sent_at, PACE.ttl_seconds, PACE.margin_seconds)
    assert away.began - beating.sent_at <= PACE.heartbeat_seconds + COST_SECONDS, "it beat until then"
    assert beating.back_at <= last.soft_stop_at - SLACK_SECONDS
