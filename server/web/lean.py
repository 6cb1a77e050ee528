"""The money path without a RequestHandler: the two single routes on Tornado's lower interface.

A RequestHandler costs more than all else that a withdrawal does in Python. What
stands here is only how bytes become a request and a reply becomes bytes; every rule
(admission, bodies, keys, outcomes, problems, figures) is the one that the handlers
use. A request whose head is unusual in any way goes to the handlers, who know how to
refuse it.
"""

import asyncio
import time
from collections.abc import Awaitable, Mapping
from email.utils import formatdate
from http import HTTPStatus
from typing import cast

from tornado.http1connection import HTTP1Connection
from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    RequestStartLine,
    ResponseStartLine,
)
from tornado.iostream import StreamClosedError

from server.errors import RingfenceError
from server.money.amounts import parse_movement
from server.money.outcomes import Operation
from server.money.postings import Posted, Wish
from server.web import replies
from server.web.admission import BODY_BYTES_MAX, check_media_type
from server.web.idempotency import key_of
from server.web.metrics import RequestMetrics
from server.web.services import Services
from server.web.unforeseen import answerable

ROUTES: Mapping[str, Operation] = {"/withdraw": "withdraw", "/deposit": "deposit"}
_REASONS = {status.value: status.phrase for status in HTTPStatus}
_UNUSUAL = ("Transfer-Encoding", "Expect", "Content-Encoding")


class FrontDoor(HTTPServerConnectionDelegate):
    """Takes every request; serves the two routes and passes the rest to the application."""

    def __init__(
        self, application: HTTPServerConnectionDelegate, services: Services, metrics: RequestMetrics
    ) -> None:
        self.application = application
        self.services = services
        self.metrics = metrics
        self._idle: set[_Fork] = set()
        self._date = ""
        self._date_second = 0

    def start_request(self, server_conn: object, request_conn: HTTPConnection) -> HTTPMessageDelegate:
        fork = _Fork(self, server_conn, cast(HTTP1Connection, request_conn))
        self._idle.add(fork)  # until a head has come
        return fork

    def began(self, fork: "_Fork") -> None:
        """A request has come on a connection, or its client has gone."""
        self._idle.discard(fork)

    def close_idle(self, seconds: float) -> None:
        """Closes the connections on which no request has come for so long."""
        before = time.perf_counter() - seconds
        for fork in [fork for fork in self._idle if fork.since < before]:
            fork.close()

    def on_close(self, server_conn: object) -> None:
        self.application.on_close(server_conn)

    def date(self) -> str:
        """The header Date, made once a second."""
        second = int(time.time())
        if second != self._date_second:
            self._date_second, self._date = second, formatdate(second, usegmt=True)
        return self._date


class _Fork(HTTPMessageDelegate):
    """One request: decides by its head which way it goes, and goes it."""

    def __init__(self, door: FrontDoor, server_conn: object, connection: HTTP1Connection) -> None:
        self._door = door
        self._server_conn = server_conn
        self._connection = connection
        self._other: HTTPMessageDelegate | None = None
        self._body = b""
        self._has_gone = False
        self.since = time.perf_counter()

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        assert isinstance(start_line, RequestStartLine), "a server reads requests"
        self._door.began(self)
        if not is_plain(start_line, headers):
            self._other = self._door.application.start_request(self._server_conn, self._connection)
            return self._other.headers_received(start_line, headers)
        self._route = start_line.path
        self._headers = headers
        self._began = time.perf_counter()
        return None

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        if self._other is not None:
            return self._other.data_received(chunk)
        self._body += chunk  # nearly always the one chunk there is
        return None

    def finish(self) -> None:
        if self._other is not None:
            self._other.finish()
            return
        try:
            self._key = key_of(self._headers)
            self._movement = parse_movement(self._body)
            answer = self._door.services.bank.move(
                ROUTES[self._route], self._movement, Wish(key=self._key, is_wanted=self._is_wanted)
            )
        except Exception as error:
            self._send(replies.of_error(answerable(error, "POST", self._route)))
        else:
            answer.add_done_callback(self._answer)

    def close(self) -> None:
        """Closes the connection."""
        self._door.began(self)
        self._connection.stream.close()

    def on_connection_close(self) -> None:
        self._has_gone = True
        self._door.began(self)
        if self._other is not None:
            self._other.on_connection_close()

    def _is_wanted(self) -> bool:
        return not self._has_gone

    def _answer(self, answer: "asyncio.Future[list[Posted]]") -> None:
        error = answer.exception()
        if error is None:
            (posted,) = answer.result()
            self._send(replies.of_movement(self._movement, posted, self._key))
        else:
            self._send(replies.of_error(answerable(error, "POST", self._route)))

    def _send(self, reply: replies.Reply) -> None:
        headers = HTTPHeaders()
        # Names in their canonical form already, so the slow way of adding is not needed.
        for name, value in replies.ALWAYS.items():
            headers[name] = value
        headers["Content-Type"] = reply.content_type
        headers["Date"] = self._door.date()
        for name, value in reply.headers.items():
            headers[name] = value
        headers["Content-Length"] = str(len(reply.body))
        start = ResponseStartLine("HTTP/1.1", reply.status, _REASONS[reply.status])
        try:
            written = self._connection.write_headers(start, headers, reply.body)
            self._connection.finish()
        except StreamClosedError:
            return  # the client has gone; what it asked for is done, and a repeat finds it
        # Whether the bytes arrive is the client's to know: its repeat gets the same answer.
        written.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._door.metrics.observe(self._route, "POST", reply.status, time.perf_counter() - self._began)


def is_plain(start_line: RequestStartLine, headers: HTTPHeaders) -> bool:
    """Whether the head of a request is that of an ordinary movement, and nothing else.

    Pure, and rather too strict: what is refused here is judged by the handlers.
    """
    if start_line.method != "POST" or start_line.path not in ROUTES:
        return False
    if any(name in headers for name in _UNUSUAL):
        return False
    length = headers.get("Content-Length", "")
    if not (length.isascii() and length.isdigit() and len(length) < 8 and int(length) <= BODY_BYTES_MAX):
        return False
    try:
        check_media_type(headers)
    except RingfenceError:
        return False
    return True
