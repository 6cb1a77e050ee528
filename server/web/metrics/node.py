"""The process itself: who it is, whether it is ready, how busy its loop is, and its log."""

import asyncio
from collections.abc import Callable, Iterator
from time import monotonic

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from server import __version__, logs
from server.cluster.membership import Membership
from server.cluster.tenure import Tenure
from server.cron.scheduler import Scheduler
from server.distribution import Distribution
from server.postgres.listener import Listener, Mode
from server.web.metrics.cluster import ClusterCollector
from server.web.metrics.cron import CronCollector
from server.web.metrics.definition import Definition

LAG_SECONDS = 1.0  # between two looks at the loop
LEVELS = ("debug", "info", "warning", "error", "critical")

INFO = Definition(
    "gauge",
    "ringfence_instance_info",
    "Always 1: which instance answered. On the public port that is another one at each scrape.",
    ("node", "version"),
)
READY = Definition(
    "gauge",
    "ringfence_ready",
    "1 while this node has no reason of its own against requests; whether the database answers is "
    "ringfence_database_reachable.",
)
LAG = Definition(
    "histogram",
    "ringfence_loop_lag_seconds",
    "How late the event loop came to something that was due, looked at once a second: what every request "
    "waits besides.",
)
LISTENING = Definition(
    "gauge",
    "ringfence_listening",
    "1 for the way in which this node hears of changes now: listening; polling, behind a pooler and a second "
    "later; or away.",
    ("mode",),
)
LISTENER_CONNECTS = Definition(
    "counter", "ringfence_listener_connects_total", "How often the listening connection was made."
)
NOTIFICATIONS = Definition("counter", "ringfence_notifications_total", "Notifications heard.")
LOG_LINES = Definition("counter", "ringfence_log_lines_total", "Lines of the log.", ("level",))
LOG_DROPPED = Definition(
    "counter", "ringfence_log_lines_dropped_total", "Lines left out since nobody read the log."
)
DEFINITIONS = (INFO, READY, LAG, LISTENING, LISTENER_CONNECTS, NOTIFICATIONS, LOG_LINES, LOG_DROPPED)


class InstanceCollector(Collector):
    """Who answers, and what it wrote to its log."""

    def __init__(self, node_name: str, readiness: Callable[[], list[str]]) -> None:
        self._node_name = node_name
        self._readiness = readiness

    def collect(self) -> Iterator[Metric]:
        yield INFO.each({(self._node_name, __version__): 1})
        yield READY.of(not self._readiness())
        yield LOG_LINES.each({(level,): logs.FIGURES.lines[level] for level in LEVELS})
        yield LOG_DROPPED.of(logs.FIGURES.dropped)


class LoopLag(Collector):
    """Looks once a second how late the event loop is."""

    def __init__(self) -> None:
        self._seconds = Distribution()

    async def run(self) -> None:
        """Looks until it is cancelled."""
        while True:
            due = monotonic() + LAG_SECONDS
            await asyncio.sleep(LAG_SECONDS)
            self._seconds.observe(max(0.0, monotonic() - due))

    def collect(self) -> Iterator[Metric]:
        yield LAG.spread({(): self._seconds})


def collectors_of(
    membership: Membership,
    scheduler: Scheduler,
    listener: Listener,
    tenure: Callable[[], Tenure | None],
) -> list[Collector]:
    """Of the parts of a node that serve no requests."""
    return [
        ClusterCollector(membership, tenure),
        CronCollector(scheduler, membership),
        ListenerCollector(listener),
    ]


class ListenerCollector(Collector):
    """Whether this node hears of changes."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def collect(self) -> Iterator[Metric]:
        yield LISTENING.each({(mode,): mode is self._listener.mode for mode in Mode})
        yield LISTENER_CONNECTS.of(self._listener.connects)
        yield NOTIFICATIONS.of(self._listener.notifications)
