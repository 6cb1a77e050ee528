"""The money path without a RequestHandler: the two single routes on Tornado's lower interface.

A RequestHandler costs more than all else that a withdrawal does in Python. What
stands here is only how bytes become a request and a reply becomes bytes; every rule
(admission, bodies, keys, outcomes, problems, figures) is the one that the handlers
use. A request whose head is unusual in any way goes to the handlers, who know how to
refuse it.
"""

import asyncio
import select
import time
from collections.abc import Awaitable, Mapping
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

import structlog
from tornado.http1connection import HTTP1Connection
from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    RequestStartLine,
    ResponseStartLine,
)

from server import logs, tracing
from server.money.amounts import parse_movement
from server.money.postings import Posted, Wish
from server.web import replies
from server.web.gate import Sender
from server.web.idempotency import key_of
from server.web.metrics.requests import RequestMetrics
from server.web.patience import Patience
from server.web.plain_heads import ROUTES, is_plain
from server.web.request_id import request_id
from server.web.services import Services
from server.web.strict_heads import in_origin_form, parse_strictly
from server.web.unforeseen import answerable

if TYPE_CHECKING:
    from opentelemetry.trace import Span

_REASONS = {status.value: status.phrase for status in HTTPStatus}
log = structlog.get_logger(__name__)


class FrontDoor(HTTPServerConnectionDelegate):
    """Takes every request; serves the two routes and passes the rest to the application.

    patience: closes the connections whose clients are too slow.
    """

    def __init__(
        self, application: HTTPServerConnectionDelegate, services: Services, metrics: RequestMetrics
    ) -> None:
        self.application = application
        self.services = services
        self.metrics = metrics
        self.patience = Patience(services.settings.http)
        self._heads: dict[tuple[int, str], bytes] = {}
        self._newest: dict[object, _Fork] = {}  # of each connection that is open
        self._date_second = 0

    def start_request(self, server_conn: object, request_conn: HTTPConnection) -> HTTPMessageDelegate:
        connection = cast(HTTP1Connection, request_conn)
        # Tornado's method uses nothing of its connection, and ours neither: no cycle to collect.
        connection._parse_headers = parse_strictly  # type: ignore[method-assign]
        fork = _Fork(self, server_conn, connection)
        self.patience.begin(fork)
        self._newest[server_conn] = fork
        return fork

    def on_close(self, server_conn: object) -> None:
        # Nobody tells a request of which no head has come that its connection has gone.
        fork = self._newest.pop(server_conn, None)
        if fork is not None:
            self.patience.end(fork)
        self.application.on_close(server_conn)

    def head(self, reply: replies.Reply) -> bytes:
        """The head of an answer up to its length. What many answers share is made once a second."""
        second = int(time.time())  # noqa: TID251 the header Date
        if second != self._date_second:
            self._date_second = second
            self._heads.clear()
        found = self._heads.get((reply.status, reply.content_type))
        if found is None:
            lines = {
                **replies.ALWAYS,
                "Content-Type": reply.content_type,
                "Date": formatdate(second, usegmt=True),
            }
            found = self._heads[reply.status, reply.content_type] = (
                f"HTTP/1.1 {reply.status} {_REASONS[reply.status]}\r\n{_lines(lines)}"
            ).encode("latin1")
        return found


class _Fork(HTTPMessageDelegate):
    """One request: decides by its head which way it goes, and goes it.

    since, head_at: perf_counter() when the connection was ready for it, and when its
        head had come.
    """

    def __init__(self, door: FrontDoor, server_conn: object, connection: HTTP1Connection) -> None:
        self.since = time.perf_counter()
        self.head_at: float | None = None
        self._door = door
        self._server_conn = server_conn
        self._connection = connection
        self._other: HTTPMessageDelegate | None = None
        self._body = b""
        self._has_gone = False
        self._span: Span | None = None

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        assert isinstance(start_line, RequestStartLine), "a server reads requests"
        self.head_at = time.perf_counter()
        start_line = in_origin_form(start_line, headers)
        edge = self._door.services.edge
        edge.meet(headers, self._connection.context)
        if not (is_plain(start_line, headers) and edge.is_plain(headers)):
            self._other = self._door.application.start_request(self._server_conn, self._connection)
            return self._other.headers_received(start_line, headers)
        self._route = start_line.path
        self._headers = headers
        return None

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        if self._other is not None:
            return self._other.data_received(chunk)
        self._body += chunk  # nearly always the one chunk there is
        return None

    def finish(self) -> None:
        self._door.patience.end(self)
        if self._other is not None:
            self._other.finish()
            return
        services = self._door.services
        try:
            caller = services.gate.admit_plain("POST", self._route, self._headers, self._sender)
            self._key = key_of(self._headers)
            self._movement = parse_movement(self._body)
            if caller.user_id is not None:  # few are, and all others need not pay for the telling
                with services.gate.telling("POST", self._route, self._sender):
                    caller.check_account(self._movement.user_id, "money")
            answer = services.bank.move(
                ROUTES[self._route],
                self._movement,
                self._wish(caller.token),
            )
        except Exception as error:
            self._refuse(error)
        else:
            # While its answer is made, a connection tells nobody but this that it was closed.
            self._connection.set_close_callback(self._go)
            answer.add_done_callback(self._answer)

    def _wish(self, client: str) -> Wish:
        if tracing.tracer is None:
            return Wish(key=self._key, client=client, is_wanted=self._is_wanted)
        self._span = tracing.begin_request("POST", self._route, self._headers)
        return Wish(self._key, client, self._is_wanted, self._span.get_span_context())

    @property
    def _sender(self) -> Sender:
        return cast(Sender, self._connection.context)

    def on_connection_close(self) -> None:
        self._go()
        self._door.patience.end(self)
        if self._other is not None:
            self._other.on_connection_close()

    @property
    def is_unread(self) -> bool:
        """Whether something has come that the loop has not read, or not handed on.

        Of a head that was read in part the rest is the client's to send, however slowly we read.
        """
        stream = self._connection.stream
        if stream.closed():
            return False
        if not stream.reading():
            return True
        arrivals = select.poll()
        arrivals.register(stream.fileno(), select.POLLIN)
        return not stream._read_buffer_size and bool(arrivals.poll(0))

    def close(self) -> None:
        """Closes the connection."""
        self._door.patience.end(self)
        self._connection.stream.close()

    def _go(self) -> None:
        self._has_gone = True

    def _is_wanted(self) -> bool:
        return not self._has_gone

    def _answer(self, answer: "asyncio.Future[list[Posted]]") -> None:
        error = answer.exception()
        if error is None:
            (posted,) = answer.result()
            self._send(replies.of_movement(self._movement, posted, self._key))
        else:
            self._refuse(error)

    def _refuse(self, error: BaseException) -> None:
        problem = answerable(error, "POST", self._route, self._headers)
        self._door.metrics.refused(problem.code)
        self._send(replies.of_error(problem))

    def _send(self, reply: replies.Reply) -> None:
        connection = self._connection
        if connection.params.no_keep_alive:
            # This node stops: Tornado adds what tells the client so.
            headers = HTTPHeaders({**replies.ALWAYS, "Content-Type": reply.content_type, **reply.headers})
            headers["Date"] = formatdate(usegmt=True)
            headers["Content-Length"] = str(len(reply.body))
            start = ResponseStartLine("HTTP/1.1", reply.status, _REASONS[reply.status])
            written = connection.write_headers(start, headers, reply.body)
        else:
            head = self._door.head(reply)
            if reply.headers:
                head += _lines(reply.headers).encode("latin1")
            written = connection.write(
                b"%bContent-Length: %d\r\n\r\n%b" % (head, len(reply.body), reply.body)
            )
        if written.done():
            written.exception()  # the client has gone; what it asked for is done, and a repeat finds it
        else:
            written.add_done_callback(_look_away)
        connection.finish()
        self._tell(reply.status)

    def _tell(self, status: int) -> None:
        """What metrics, traces and log get of each request; see application.py for all other routes."""
        assert self.head_at is not None, "an answer follows a head"
        seconds = time.perf_counter() - self.head_at
        self._door.metrics.observe(self._route, "POST", status, seconds)
        if self._span is not None:
            tracing.end_request(self._span, status)
        if logs.is_written("debug"):
            facts = {"route": self._route, "method": "POST", "status": status, "seconds": seconds}
            log.debug("answered", **facts, request=request_id(self._headers))


def _lines(headers: Mapping[str, str]) -> str:
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items())


def _look_away(written: "asyncio.Future[None]") -> None:
    """Whether the bytes arrive is the client's to know: its repeat gets the same answer."""
    if not written.cancelled():
        written.exception()
