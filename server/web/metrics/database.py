"""The node's connections, and how long the database takes to answer on them."""

from collections.abc import Iterator

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from server.distribution import Distribution
from server.postgres.connections import Database
from server.web.metrics.definition import Definition, Labels

CALL_SECONDS = Definition(
    "histogram",
    "ringfence_database_call_seconds",
    "Time of the database's answers, failed calls included, by who asked: `money` (a batch, with its "
    "commit) or `shared` (reads over HTTP and the scheduler). Heartbeats: ringfence_heartbeat_seconds.",
    ("use",),
)
_GAUGES = {
    "pool_size": Definition(
        "gauge", "ringfence_database_connections", "Connections that the shared pool holds."
    ),
    "pool_available": Definition(
        "gauge", "ringfence_database_connections_idle", "Connections of the shared pool that nobody uses now."
    ),
    "requests_waiting": Definition(
        "gauge", "ringfence_database_waiting", "Calls that wait for a connection of the shared pool now."
    ),
}
_COUNTERS = {
    "requests_num": Definition(
        "counter", "ringfence_database_calls_total", "Calls that asked for a connection."
    ),
    "requests_queued": Definition(
        "counter", "ringfence_database_calls_queued_total", "Calls that had to wait for a connection."
    ),
    "requests_errors": Definition(
        "counter", "ringfence_database_calls_timed_out_total", "Calls that got no connection in time."
    ),
    "connections_num": Definition(
        "counter", "ringfence_database_connection_attempts_total", "Connections that were tried to open."
    ),
    "connections_errors": Definition(
        "counter",
        "ringfence_database_connection_failures_total",
        "Connections that could not be opened.",
    ),
    "connections_lost": Definition(
        "counter", "ringfence_database_connections_lost_total", "Connections that were found broken."
    ),
}
WAITED = Definition(
    "counter", "ringfence_database_wait_seconds_total", "Seconds that calls waited for connections."
)
OUTAGE = Definition(
    "gauge",
    "ringfence_database_outage_seconds",
    "How long the database has not answered some connection of this node; 0 while it answers all.",
)
DEFINITIONS = (OUTAGE, CALL_SECONDS, *_GAUGES.values(), *_COUNTERS.values(), WAITED)


class PoolCollector(Collector):
    """The figures of the pool, read when they are asked for."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def collect(self) -> Iterator[Metric]:
        yield OUTAGE.of(self._database.pulse.outage_seconds)
        found = self._database.statistics()
        for key, definition in (*_GAUGES.items(), *_COUNTERS.items()):
            yield definition.of(found.get(key, 0))
        yield WAITED.of(found.get("requests_wait_ms", 0) / 1000)


class CallCollector(Collector):
    """How long the database's answers took."""

    def __init__(self, shared: Distribution, money: Distribution) -> None:
        self._by_use: dict[Labels, Distribution] = {("shared",): shared, ("money",): money}

    def collect(self) -> Iterator[Metric]:
        yield CALL_SECONDS.spread(self._by_use)
