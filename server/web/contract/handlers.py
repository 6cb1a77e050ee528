"""The contract, served."""

from server.web.contract.document import openapi_document
from server.web.handlers import JsonHandler
from server.web.replies import JSON, Reply
from server.web.routes import Route


class OpenApiHandler(JsonHandler):
    """GET /openapi.json: the interface of this release as OpenAPI 3.1."""

    parameters = None

    def get(self) -> None:
        is_required = self.services.gate.is_required
        self.send(Reply(200, JSON, {}, openapi_document(is_token_required=is_required)))


def routes() -> tuple[Route, ...]:
    """The routes of this module."""
    return (Route("/openapi.json", OpenApiHandler),)
