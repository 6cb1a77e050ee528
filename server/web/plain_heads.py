"""Which requests the lean path takes: ordinary movements, whose heads leave nothing to judge.

Pure, and rather too strict: what is refused here is judged by the handlers.
"""

import re
from collections.abc import Mapping

from tornado.httputil import HTTPHeaders, RequestStartLine

from server.errors import RingfenceError
from server.money.outcomes import Operation
from server.web import replies
from server.web.admission import BODY_BYTES_MAX, check_accept, check_head, check_media_type

ROUTES: Mapping[str, Operation] = {"/withdraw": "withdraw", "/deposit": "deposit"}
# The last three are a browser's, and the gate judges them (gate.py).
_UNUSUAL = ("Transfer-Encoding", "Expect", "Content-Encoding", "Cookie", "Origin", "Sec-Fetch-Site")
_HOST = re.compile(r"[A-Za-z0-9.:\[\]_-]{1,255}")


def is_plain(start_line: RequestStartLine, headers: HTTPHeaders) -> bool:
    """Whether the head of a request is that of an ordinary movement, and nothing else."""
    if start_line.method != "POST" or start_line.path not in ROUTES or start_line.version != "HTTP/1.1":
        return False
    if any(name in headers for name in _UNUSUAL) or not _HOST.fullmatch(headers.get("Host", "")):
        return False
    length = headers.get("Content-Length", "")
    if not (length.isascii() and length.isdigit() and len(length) < 8 and int(length) <= BODY_BYTES_MAX):
        return False
    if headers.get("Connection", "keep-alive").lower() != "keep-alive":
        return False
    try:
        check_head(headers)
        if headers.get("Content-Type") != replies.JSON:
            check_media_type(headers)
        if headers.get("Accept", "*/*") != "*/*":
            check_accept(headers, (replies.JSON,))
    except RingfenceError:
        return False
    return True
