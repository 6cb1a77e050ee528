"""Files that ship with the product and have routes of their own.

No path of a request ever becomes a path on the disk: what has no route does not exist,
whatever dots and slashes it is written with.
"""

import gzip
from functools import cache
from importlib.resources import files

from server.web.handlers import JsonHandler
from server.web.page_files import HTML, MEDIA_TYPES, PageFile
from server.web.routes import Route
from server.web.services import Services


class FileHandler(JsonHandler):
    """GET of one file: 200, or 304 for who has it."""

    parameters = None

    def initialize(self, services: Services, route: str, file: PageFile) -> None:
        self.begin(services, route)
        self.file = file
        self.offers = (file.content_type.partition(";")[0],)

    def get(self) -> None:
        self.set_header("Vary", "Accept-Encoding")
        self.send(self.file.reply(self.request.headers, "no-cache"))


@cache
def read_file(package: str, path: str) -> PageFile:
    """A file of a package, by its path in it."""
    content = files(package).joinpath(path).read_bytes()
    kind = {**MEDIA_TYPES, "html": HTML}[path.rpartition(".")[2]]
    # mtime 0: every node makes the same bytes, and with them the same ETag.
    return PageFile(f"{kind}; charset=utf-8", content, gzip.compress(content, mtime=0))


def file_route(path: str, package: str, place: str) -> Route:
    """The route that serves a file of a package."""
    return Route(path, FileHandler, {"file": read_file(package, place)})
