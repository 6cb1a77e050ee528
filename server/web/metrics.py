"""Figures for Prometheus: requests by route and status, and the pool of connections."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from server.money.batcher import Batcher
from server.postgres.connections import Database
from server.web.feed import Feed

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_GAUGES = {
    "pool_size": ("connections", "Connections that the pool holds."),
    "pool_available": ("connections_idle", "Connections that nobody uses now."),
    "requests_waiting": ("waiting", "Calls that wait for a connection now."),
}
_COUNTERS = {
    "requests_num": ("calls", "Calls that asked for a connection."),
    "requests_queued": ("calls_queued", "Calls that had to wait for a connection."),
    "requests_errors": ("calls_timed_out", "Calls that got no connection in time."),
    "connections_num": ("connection_attempts", "Connections that were tried to open."),
    "connections_errors": ("connection_failures", "Connections that could not be opened."),
    "connections_lost": ("connections_lost", "Connections that were found broken."),
}
_WAIT = "Seconds that calls waited for connections."


class RequestMetrics:
    """Counts and times requests. A route's label is its path with places, never what a client sent."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._seconds = Histogram(
            "ringfence_http_request_seconds",
            "Time from a request's head to its answer.",
            ("route", "method", "status"),
            buckets=_SECONDS,
            registry=registry,
        )
        # Finding a series by its labels costs more than counting in it.
        self._known: dict[tuple[str, str, int], Histogram] = {}

    def observe(self, route: str, method: str, status: int, seconds: float) -> None:
        """Takes in one answered request."""
        found = self._known.get((route, method, status))
        if found is None:
            # A method that nobody knows is the client's invention, and labels must stay few.
            found = self._seconds.labels(route, method if method in METHODS else "other", str(status))
            if method in METHODS:
                self._known[route, method, status] = found
        found.observe(seconds)


class PoolCollector(Collector):
    """The figures of the pool, read when they are asked for."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def collect(self) -> Iterator[Metric]:
        found = self._database.statistics()
        for key, (name, help_text) in _GAUGES.items():
            yield GaugeMetricFamily(f"ringfence_database_{name}", help_text, value=found.get(key, 0))
        for key, (name, help_text) in _COUNTERS.items():
            yield CounterMetricFamily(f"ringfence_database_{name}", help_text, value=found.get(key, 0))
        waited_seconds = found.get("requests_wait_ms", 0) / 1000
        yield CounterMetricFamily("ringfence_database_wait_seconds", _WAIT, value=waited_seconds)


class BatcherCollector(Collector):
    """The figures of the money path, read when they are asked for."""

    def __init__(self, batcher: Batcher) -> None:
        self._batcher = batcher

    def collect(self) -> Iterator[Metric]:
        batcher = self._batcher
        yield CounterMetricFamily("ringfence_money_batches", "Batches committed.", value=batcher.batches)
        yield CounterMetricFamily(
            "ringfence_money_movements", "Movements decided, refusals included.", value=batcher.movements
        )
        yield GaugeMetricFamily(
            "ringfence_money_queued", "Movements that wait to be sent.", value=batcher.waiting.movements
        )
        yield GaugeMetricFamily(
            "ringfence_money_oldest_seconds",
            "How long the oldest of them has waited.",
            value=batcher.waiting.oldest_seconds,
        )


class FeedCollector(Collector):
    """Who follows the events of this node."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(
            "ringfence_event_observers", "Streams of GET /events that are open.", value=self._feed.observers
        )
