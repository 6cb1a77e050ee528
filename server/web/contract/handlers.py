"""The contract, served: as a document for programs, and as a page for people."""

from server.web.contract.document import openapi_document
from server.web.files import file_route
from server.web.handlers import JsonHandler
from server.web.replies import JSON, Reply
from server.web.routes import Route

_FILES = ("docs/start.js", "docs/swagger-ui/swagger-ui.css", "docs/swagger-ui/swagger-ui-bundle.js")


class OpenApiHandler(JsonHandler):
    """GET /openapi.json: the interface of this release as OpenAPI 3.1."""

    parameters = None

    def get(self) -> None:
        is_required = self.services.gate.is_required
        self.send(Reply(200, JSON, {}, openapi_document(is_token_required=is_required)))


def routes() -> tuple[Route, ...]:
    """The routes of this module that programs use."""
    return (Route("/openapi.json", OpenApiHandler),)


def pages() -> tuple[Route, ...]:
    """GET /docs, and the files that it loads."""
    return (
        file_route("/docs", "server.web", "docs/page.html"),
        *(file_route(f"/docs/{path.rpartition('/')[2]}", "server.web", path) for path in _FILES),
    )
