"""The page's files over HTTP. The page itself is what `/` answers browsers (application.py)."""

from server.web.handlers import JsonHandler
from server.web.page_files import MEDIA_TYPES, PageFiles
from server.web.refusals import RouteNotFoundError
from server.web.routes import Route
from server.web.services import Services

KEPT_SECONDS = 31_536_000


class PageFileHandler(JsonHandler):
    """GET /static/{version}/{file}: 200, or 404 not_found.

    A file under this release's version may be kept for ever. Under another one, which a
    page of another release asks for during a deploy, it is this release's, and not kept.
    """

    parameters = None
    offers = tuple(MEDIA_TYPES.values())

    def initialize(self, services: Services, route: str, files: PageFiles) -> None:
        self.begin(services, route)
        self.files = files

    def get(self, version: str, file: str) -> None:
        found = self.files.others.get(file)
        if found is None:
            raise RouteNotFoundError(f"There is nothing at {self.request.path[:200]}.")
        is_this = version == self.files.version
        self.set_header("Vary", "Accept-Encoding")
        kept = f"public, max-age={KEPT_SECONDS}, immutable"
        self.send(found.reply(self.request.headers, kept if is_this else "no-store"))


def routes(files: PageFiles) -> tuple[Route, ...]:
    """The routes of this module."""
    return (Route("/static/{version}/{file}", PageFileHandler, {"files": files}),)
