"""All routes put together, with what happens to every request: its figures and its log line."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import structlog
from prometheus_client import CollectorRegistry
from tornado.web import Application, RequestHandler

from server import __version__, tracing
from server.web import (
    audit,
    cluster,
    event_stream,
    health,
    log_level,
    money,
    page,
    placement,
    pulse,
    session,
)
from server.web.admission import prefers
from server.web.contract import handlers as contract
from server.web.handlers import JsonHandler
from server.web.lean import FrontDoor
from server.web.metrics.registry import Scrape, make_scrape
from server.web.metrics.requests import ConnectionCollector, RequestMetrics
from server.web.page_files import HTML, PageFiles
from server.web.refusals import RouteNotFoundError
from server.web.replies import JSON
from server.web.routes import Route
from server.web.services import Services

__all__ = ["Services", "make_application", "make_front_door"]

NO_ROUTE = "none"
SERVER_METHODS = ["GET", "HEAD", "POST", "OPTIONS"]
log = structlog.get_logger(__name__)


class IndexHandler(JsonHandler):
    """GET /: the page for browsers; what this is and where to go for everybody else."""

    parameters = None
    offers = (JSON, HTML)

    def initialize(self, services: Services, route: str, routes: Sequence[Route], files: PageFiles) -> None:
        self.begin(services, route)
        self.routes = routes
        self.files = files

    def get(self) -> None:
        self.set_header("Vary", "Accept, Accept-Encoding")
        if prefers(HTML, JSON, self.request.headers.get("Accept", "")):
            self.send(self.files.page.reply(self.request.headers, "no-cache"))
            return
        self.answer(
            {
                "service": "ringfence",
                "version": __version__,
                "node": self.services.node_name,
                "routes": {route.path: _methods(route) for route in self.routes},
            }
        )


class NotFoundHandler(JsonHandler):
    """Whatever no route matches: 404 not_found; but for OPTIONS *, which asks about the server."""

    def admit(self) -> None:
        if (self.request.method, self.request.uri) == ("OPTIONS", "*"):
            return  # about the server as a whole, says RFC 9110
        raise self._nothing()

    def options(self, *places: str) -> None:
        super().options(*places)
        self.set_header("Allow", ", ".join(SERVER_METHODS))

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        if status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            # Tornado refuses a method that nobody knows before it asks for admission.
            kwargs["exc_info"] = (RouteNotFoundError, self._nothing(), None)
        super().write_error(status_code, **kwargs)

    def _nothing(self) -> RouteNotFoundError:
        return RouteNotFoundError(f"There is nothing at {self.request.path[:200]}.")


def make_front_door(services: Services, registry: CollectorRegistry | None = None) -> FrontDoor:
    """All that one node serves over HTTP, the lean money path before the application.

    registry: where its figures go; one of its own unless given, so that two
        nodes in one process don't meet.
    """
    registry = registry or CollectorRegistry()
    metrics = RequestMetrics(registry)
    scrape = make_scrape(services, registry)
    door = FrontDoor(make_application(services, scrape, metrics), services, metrics)
    registry.register(ConnectionCollector(door.patience))
    return door


def make_application(services: Services, scrape: Scrape, metrics: RequestMetrics) -> Application:
    """Every route by its handler, the two of the lean path included."""

    def record(handler: RequestHandler) -> None:
        route, seconds = NO_ROUTE, handler.request.request_time()
        if isinstance(handler, JsonHandler):
            route, seconds = handler.route, handler.answer_seconds
            if handler.problem is not None:
                metrics.refused(handler.problem)
        method, status = handler.request.method or "", handler.get_status()
        metrics.observe(route, method, status, seconds)
        log.debug("answered", route=route, method=method, status=status, seconds=seconds)
        if isinstance(handler, JsonHandler) and handler.span is not None:
            tracing.end_request(handler.span, status)

    files = PageFiles.read()
    routes: list[Route] = [
        *money.routes(services),
        *pulse.routes(),
        *cluster.routes(services),
        *placement.routes(),
        *event_stream.routes(),
        *session.routes(),
        *audit.routes(),
        *health.routes(services, scrape),
        *log_level.routes(services),
        *contract.routes(),
        *page.routes(files),
    ]
    routes.append(Route("/", IndexHandler, {"routes": routes, "files": files}))
    served = [*routes, *contract.pages()]
    return Application(
        [
            (route.pattern, route.handler, {"services": services, "route": route.path, **route.needs})
            for route in served
        ],
        default_handler_class=NotFoundHandler,
        default_handler_args={"services": services, "route": NO_ROUTE},
        log_function=record,
    )


def _methods(route: Route) -> list[str]:
    return route.handler.allowed if issubclass(route.handler, JsonHandler) else []
