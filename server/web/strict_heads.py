"""Heads that two servers in a row could read differently are read by none.

Tornado still takes a bare line feed for the end of a line, and did take a line that
begins with a blank for the rest of the one above (obsolete folding). A proxy before us
that takes neither sees other headers than we do: that is how requests are smuggled.
RFC 9112 (2.2, 5.2) allows to refuse both, with 400 and the end of the connection.
"""

import re
from typing import cast

from tornado.http1connection import HTTP1Connection
from tornado.httputil import HTTPHeaders, HTTPInputError, RequestStartLine

_ABSOLUTE = re.compile(r"https?://([^/?#]+)([^#]*)", re.IGNORECASE)


def parse_strictly(data: bytes) -> tuple[str, HTTPHeaders]:
    """As HTTP1Connection._parse_headers(). Raises HTTPInputError, which Tornado answers with 400."""
    lines = data.count(b"\r\n")
    if data.count(b"\n") != lines or data.count(b"\r") != lines:
        raise HTTPInputError("a line ends with a bare CR or LF")
    if b"\r\n " in data or b"\r\n\t" in data:
        raise HTTPInputError("a header is folded")
    return HTTP1Connection._parse_headers(cast(HTTP1Connection, None), data)


def in_origin_form(line: RequestStartLine, headers: HTTPHeaders) -> RequestStartLine:
    """The request line as `GET /tasks`, of a client that writes `GET http://host/tasks`.

    Every server has to take that, and the host that stands in it for the one that is asked,
    whatever Host says (RFC 9112, 3.2.2).
    """
    if line.path.startswith("/"):
        return line
    found = _ABSOLUTE.fullmatch(line.path)
    if found is None:
        return line
    headers["Host"], place = found.groups()
    return line._replace(path=place if place.startswith("/") else f"/{place}")
