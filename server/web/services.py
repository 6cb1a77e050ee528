"""What the routes need of the node: everything that handlers may touch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from prometheus_client.registry import Collector

from server.money.bank import Bank
from server.money.batcher import Batcher
from server.postgres.connections import Database
from server.settings import Settings
from server.web.edge import Edge
from server.web.feed import Feed
from server.web.gate import Gate


@dataclass(frozen=True)
class Services:
    """Handed to every handler.

    readiness: the reasons why this node should get no requests now; empty when
        it should. Asked often, so it must be cheap and do no I/O.
    collectors: the figures of those parts of the node that serve no requests.
    """

    settings: Settings
    node_name: str
    database: Database
    bank: Bank
    batcher: Batcher
    feed: Feed
    gate: Gate
    readiness: Callable[[], list[str]]
    collectors: Sequence[Collector] = ()

    @cached_property
    def edge(self) -> Edge:
        """What judges requests before they are let in."""
        return Edge(self.settings.http)
