"""Is this node alive, should it get requests, and how is it doing."""

import asyncio
from time import monotonic
from typing import Any

import psycopg
from prometheus_client import CONTENT_TYPE_LATEST

from server.errors import DatabaseUnavailableError, RingfenceError
from server.postgres.connections import Database
from server.postgres.faults import Fault, classify
from server.postgres.statements import load
from server.web.handlers import JsonHandler
from server.web.metrics.registry import Scrape
from server.web.routes import Route
from server.web.services import Services

# Together less than the two seconds within which an outage shows.
PROBE_SECONDS_KEPT = 0.5
PROBE_SECONDS_MAX = 1.0


class NotReadyError(RingfenceError):
    """This node should get no requests now; its reasons say why."""

    status = 503
    code = "not_ready"
    title = "This node is not ready"

    def __init__(self, reasons: list[str]) -> None:
        super().__init__(f"Not ready: {'; '.join(reasons)}.")
        self.reasons = reasons

    def members(self) -> dict[str, Any]:
        return {"reasons": self.reasons}


class DatabaseProbe:
    """What is wrong with the database: asked at most twice a second, whoever wants to know."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._statement = load("server.web", "health.sql")["takes_writes"]
        self._asked_at = float("-inf")
        self._asking: asyncio.Task[str | None] | None = None

    async def fault(self) -> str | None:
        """None if it took writes within PROBE_SECONDS_MAX, now or PROBE_SECONDS_KEPT ago."""
        asking = self._asking
        if asking is None or (asking.done() and monotonic() - self._asked_at > PROBE_SECONDS_KEPT):
            self._asked_at = monotonic()
            asking = self._asking = asyncio.create_task(self._ask())
        # Shielded: others may wait for the same answer when this one's client goes away.
        return await asyncio.shield(asking)

    async def _ask(self) -> str | None:
        asked_at = monotonic()
        try:
            await self._database.rows(self._statement, deadline_seconds=PROBE_SECONDS_MAX)
        except DatabaseUnavailableError as error:
            # Just what was asked; the pulse logs the reason.
            if isinstance(error.__cause__, psycopg.Error) and classify(error.__cause__) is Fault.NO_WRITES:
                return "the database takes no writes"
            if self._database.pulse.answered_at < asked_at:
                return "the database does not answer"
            # Others got their answers: the connections for reading have too much to do.
        return None


class HealthHandler(JsonHandler):
    """GET /healthz: 200 while the process can answer at all."""

    parameters = None

    def get(self) -> None:
        self.answer({"status": "ok", "node": self.services.node_name})


class ReadyHandler(JsonHandler):
    """GET /readyz: 200 if this node should get requests, else 503 not_ready with the reasons."""

    parameters = None

    def initialize(self, services: Services, route: str, probe: DatabaseProbe) -> None:
        self.begin(services, route)
        self.probe = probe

    async def get(self) -> None:
        reasons = self.services.readiness()
        fault = await self.probe.fault()
        if fault is not None:
            reasons = [*reasons, fault]
        if reasons:
            raise NotReadyError(reasons)
        self.answer({"status": "ready", "node": self.services.node_name})


class MetricsHandler(JsonHandler):
    """GET /metrics: the figures of this node in the text form of Prometheus."""

    parameters = None
    offers = ("text/plain", "application/openmetrics-text")

    def initialize(self, services: Services, route: str, scrape: Scrape) -> None:
        self.begin(services, route)
        self.scrape = scrape

    async def get(self) -> None:
        text = await self.scrape.text()
        self.set_header("Content-Type", CONTENT_TYPE_LATEST)
        self.finish(text)


def routes(services: Services, scrape: Scrape) -> tuple[Route, ...]:
    """The routes of this module."""
    return (
        Route("/healthz", HealthHandler),
        Route("/readyz", ReadyHandler, {"probe": DatabaseProbe(services.database)}),
        Route("/metrics", MetricsHandler, {"scrape": scrape}),
    )
