"""All collectors of a node together, and one scrape of them."""

from dataclasses import dataclass

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

from server.web.metrics.database import CallCollector, PoolCollector
from server.web.metrics.facts import FactsCollector
from server.web.metrics.money import MoneyCollector
from server.web.metrics.node import InstanceCollector
from server.web.metrics.requests import FeedCollector
from server.web.services import Services


@dataclass(frozen=True)
class Scrape:
    """What GET /metrics answers with."""

    registry: CollectorRegistry
    facts: FactsCollector

    async def text(self) -> bytes:
        """All figures in the text form of Prometheus."""
        await self.facts.refresh()
        return generate_latest(self.registry)


def make_scrape(services: Services, registry: CollectorRegistry) -> Scrape:
    """Registers whatever has figures."""
    facts = FactsCollector(services.database)
    for collector in (
        InstanceCollector(services.node_name, services.readiness),
        PoolCollector(services.database),
        CallCollector(services.database.call_seconds, services.batcher.figures.call_seconds),
        MoneyCollector(services.batcher),
        FeedCollector(services.feed),
        facts,
        *services.collectors,
    ):
        registry.register(collector)
    ProcessCollector(registry=registry)
    return Scrape(registry, facts)
