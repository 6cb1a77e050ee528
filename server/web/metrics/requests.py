"""Requests by route and status, what was refused, and who follows the events."""

from collections import Counter
from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from server.access.refused import Refusals
from server.distribution import Distribution
from server.web.feed import Feed
from server.web.metrics.definition import Definition
from server.web.patience import Patience

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OTHER_METHOD = "other"
ALARMING = (
    "account_busy",
    "cross_site_request",
    "database_unavailable",
    "forbidden",
    "internal_error",
    "invalid_token",
    "outcome_unknown",
    "overloaded",
    "unauthenticated",
)
"""Codes that are there from the start, at 0: of a counter that appears with 1 nobody sees that it grew."""

REQUESTS = Definition(
    "histogram",
    "ringfence_http_request_seconds",
    "Time from a request's head to its answer. A stream of events counts until its first byte.",
    ("route", "method", "status"),
)
PROBLEMS = Definition(
    "counter",
    "ringfence_http_problems_total",
    "Answers that are problem documents, by their code; insufficient funds and other verdicts of the "
    "database on a movement are not among them, see the status of its route.",
    ("code",),
)
OBSERVERS = Definition("gauge", "ringfence_event_observers", "Streams of GET /events that are open.")
CONNECTIONS = Definition(
    "gauge",
    "ringfence_http_connections",
    "Connections of clients that are open; http.connections_max at most.",
)
CLOSED = Definition(
    "counter",
    "ringfence_http_connections_closed_total",
    "Connections that this node closed by itself. idle: silent between requests. slow_body, slow_answer: "
    "sent or took nothing for too long. room, refused: there were too many, and one made room, or the new "
    "one was refused.",
    ("reason",),
)
REFUSALS_LEFT_OUT = Definition(
    "counter",
    "ringfence_refusals_unrecorded_total",
    "Requests refused for want of a token or a scope of which no line of the audit record tells, not even "
    "as a number: there were too many kinds of them, or the database was away. The log has them.",
)
DEFINITIONS = (REQUESTS, PROBLEMS, OBSERVERS, CONNECTIONS, CLOSED, REFUSALS_LEFT_OUT)


class RequestMetrics(Collector):
    """Counts and times requests. A route's label is its path with places, never what a client sent."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._seconds: dict[tuple[str, str, int], Distribution] = {}
        self._problems = Counter(dict.fromkeys(ALARMING, 0))
        registry.register(self)

    def observe(self, route: str, method: str, status: int, seconds: float) -> None:
        """Takes in one answered request."""
        found = self._seconds.get((route, method, status))
        if found is None:
            # A method that nobody knows is the client's invention, and labels must stay few.
            known = method if method in METHODS else OTHER_METHOD
            found = self._seconds.setdefault((route, known, status), Distribution())
        found.observe(seconds)

    def refused(self, code: str) -> None:
        """Takes in one answer that is a problem document."""
        self._problems[code] += 1

    def collect(self) -> Iterator[Metric]:
        yield REQUESTS.spread(
            {
                (route, method, str(status)): seconds
                for (route, method, status), seconds in self._seconds.items()
            }
        )
        yield PROBLEMS.each({(code,): count for code, count in self._problems.items()})


class ConnectionCollector(Collector):
    """Who is connected, and whom that cost the connection."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience

    def collect(self) -> Iterator[Metric]:
        yield CONNECTIONS.of(len(self._patience.connections))
        yield CLOSED.each({(why,): count for why, count in self._patience.closed.items()})


class RefusalCollector(Collector):
    """What the audit record does not tell of those who were not let in."""

    def __init__(self, refusals: Refusals) -> None:
        self._refusals = refusals

    def collect(self) -> Iterator[Metric]:
        yield REFUSALS_LEFT_OUT.of(self._refusals.left_out)


class FeedCollector(Collector):
    """Who follows the events of this node."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed

    def collect(self) -> Iterator[Metric]:
        yield OBSERVERS.of(self._feed.observers)
