"""This node's place in the cluster: its lease, whom it sees, and how often it had to be stopped."""

from collections import Counter
from collections.abc import Callable, Iterator

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from server.cluster import hard_stops
from server.cluster.lease import boot_time
from server.cluster.membership import Membership
from server.cluster.tenure import Tenure
from server.web.metrics.definition import Definition

STATES = ("live", "draining")
CHANGES = ("joined", "draining", "gone")

LEASE = Definition(
    "gauge",
    "ringfence_lease_remaining_seconds",
    "What is left of this node's right to hold runs, by its own clock; 0 without one. Falls from "
    "ringfence_lease_ttl_seconds while no heartbeat gets through.",
)
TTL = Definition("gauge", "ringfence_lease_ttl_seconds", "cluster.ttl as this node has it.")
SOFT_STOP = Definition(
    "gauge",
    "ringfence_lease_soft_stop_seconds",
    "With so little of the lease left the node stops its runs.",
)
NODES = Definition(
    "gauge", "ringfence_cluster_nodes", "Members as this node sees them, itself included.", ("state",)
)
MEMBERSHIP_CHANGES = Definition(
    "counter",
    "ringfence_membership_changes_total",
    "Changes of the membership that this node saw.",
    ("change",),
)
JOINS = Definition(
    "counter",
    "ringfence_joins_total",
    "How often this process has joined the cluster; 1 unless it has lost a lease.",
)
HEARTBEAT_SECONDS = Definition(
    "histogram", "ringfence_heartbeat_seconds", "From the sending of a heartbeat to its answer."
)
HEARTBEATS_FAILED = Definition(
    "counter",
    "ringfence_heartbeats_failed_total",
    "Heartbeats without an answer within 2 s, or with an error.",
)
CLOCK_STEPS = Definition(
    "counter",
    "ringfence_clock_steps_total",
    "How often the database's clock did not advance as this node's did; no lease is judged for one ttl then.",
)
WATCHDOG = Definition(
    "counter",
    "ringfence_watchdog_stops_total",
    "Stops by the watchdogs. soft: no renewal came in time and the node ended its runs. refused: the "
    "lease was over. guardian: a guardian died or froze, and its jobs with it. lease, loop: the guardian "
    "killed this node, since it held a run to the end of its lease, or a run in its loop did not stop; "
    "these two are counted since the folder `var` was made, and not since the process began.",
    ("kind",),
)
DEFINITIONS = (
    LEASE, TTL, SOFT_STOP, NODES, MEMBERSHIP_CHANGES, JOINS, HEARTBEAT_SECONDS, HEARTBEATS_FAILED,
    CLOCK_STEPS, WATCHDOG,
)  # fmt: skip


class ClusterCollector(Collector):
    """What the node knows by itself; asks nobody.

    tenure: the present one, None while there is none.
    """

    def __init__(self, membership: Membership, tenure: Callable[[], Tenure | None]) -> None:
        self._membership = membership
        self._tenure = tenure
        self._stops = hard_stops.path_in(membership.lock_folder, membership.name)

    def collect(self) -> Iterator[Metric]:
        figures = self._membership.figures
        remaining, soft_stop = self._lease()
        yield LEASE.of(remaining)
        yield TTL.of(self._membership.ttl_seconds)
        yield SOFT_STOP.of(soft_stop)
        found = Counter(member.state for member in self._membership.members)
        yield NODES.each({(state,): found[state] for state in STATES})
        yield MEMBERSHIP_CHANGES.each({(change,): figures.changes[change] for change in CHANGES})
        yield JOINS.of(figures.joins)
        yield HEARTBEAT_SECONDS.spread({(): figures.heartbeat_seconds})
        yield HEARTBEATS_FAILED.of(figures.heartbeats_failed)
        yield CLOCK_STEPS.of(figures.clock_steps)
        stops = {
            "soft": figures.soft_stops,
            "refused": figures.refusals,
            "guardian": figures.guardians_lost,
            **hard_stops.read(self._stops),
        }
        yield WATCHDOG.each({(kind,): count for kind, count in stops.items()})

    def _lease(self) -> tuple[float, float]:
        """What is left, and with what left the runs are stopped; seconds."""
        tenure = self._tenure()
        if tenure is None or tenure.is_over or not tenure.has_begun:
            return 0.0, 0.0
        lease = tenure.lease
        end = lease.sent_at + lease.ttl_seconds
        return max(0.0, end - boot_time()), end - lease.soft_stop_at
