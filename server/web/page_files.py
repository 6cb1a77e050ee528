"""The page's files: read once at the start, so that a request names one of them or nothing.

The files lie below a path that holds a digest of all of them. So browsers keep them for
ever, a new release is another path, and modules that import each other by relative names
always come from one release.
"""

import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from importlib import resources

from tornado.httputil import HTTPHeaders

from server.web.replies import Reply

HTML = "text/html"
MEDIA_TYPES: Mapping[str, str] = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
"""The media types of the files beside the page itself, by the end of their names."""
PAGE = "index.html"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; frame-ancestors 'none'; form-action 'none'"
)
"""No request leaves the host, nothing inline runs, and nobody can frame the page."""
PROTECTION: Mapping[str, str] = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_DIGEST_BYTES = 8
_VERSION = "{{version}}"
_PRELOAD = "<!-- modules -->"


@dataclass(frozen=True)
class PageFile:
    """One file, as it is and compressed."""

    content_type: str
    plain: bytes
    compressed: bytes

    def reply(self, headers: HTTPHeaders, cache_control: str) -> Reply:
        """The answer to a request with these headers."""
        answered = {**PROTECTION, "Cache-Control": cache_control}
        if "gzip" not in headers.get("Accept-Encoding", "").lower():
            return Reply(200, self.content_type, answered, self.plain)
        return Reply(200, self.content_type, {**answered, "Content-Encoding": "gzip"}, self.compressed)


@dataclass(frozen=True)
class PageFiles:
    """The page, and what it needs, by name. version: a digest of all of it."""

    page: PageFile
    others: Mapping[str, PageFile]
    version: str

    @classmethod
    def read(cls) -> "PageFiles":
        """Reads the files of this release."""
        found: dict[str, bytes] = {}
        for path in resources.files("server.web").joinpath("static").iterdir():
            if path.name == PAGE or path.name.rpartition(".")[2] in MEDIA_TYPES:
                found[path.name] = path.read_bytes()
        digest = blake2b(digest_size=_DIGEST_BYTES)
        for name in sorted(found):
            digest.update(name.encode() + b"\0" + found[name] + b"\0")
        version = digest.hexdigest()
        others = {name: _file(name, body) for name, body in found.items() if name != PAGE}
        return cls(_file(PAGE, _page(found[PAGE], sorted(others), version)), others, version)

    @property
    def bytes_in_all(self) -> int:
        """What a browser without anything kept transfers, uncompressed."""
        return len(self.page.plain) + sum(len(file.plain) for file in self.others.values())


def _page(template: bytes, names: list[str], version: str) -> bytes:
    # All modules are asked for at once, and not one after the other as they import each other.
    preload = "\n".join(
        f'<link rel="modulepreload" href="/static/{version}/{name}">'
        for name in names
        if name.endswith(".js") and not name.startswith("worker")
    )
    return template.decode().replace(_PRELOAD, preload).replace(_VERSION, version).encode()


def _file(name: str, body: bytes) -> PageFile:
    kind = HTML if name == PAGE else MEDIA_TYPES[name.rpartition(".")[2]]
    # mtime 0: every node makes the same bytes, and with them the same ETag.
    return PageFile(f"{kind}; charset=utf-8", body, gzip.compress(body, mtime=0))
