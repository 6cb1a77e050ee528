"""The ground that all handlers stand on: admission, bodies, answers, errors.

A handler parses, calls one thing and answers; everything else about HTTP is
here. Bodies are streamed and counted, so that none is ever held beyond its
limit. A request that is refused on its head is answered only when its body has
gone by: closing a connection on unread data resets it, and the client would
see the reset and not the answer. A body beyond its limit is answered at once
and then thrown away up to a limit of its own.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, cast

import msgspec
import structlog
from tornado.http1connection import HTTP1Connection
from tornado.web import HTTPError, RequestHandler, stream_request_body

from server import tracing
from server.access.audit import Origin
from server.access.tokens import ANYBODY, Caller, Scope
from server.errors import RingfenceError
from server.web import admission, problem
from server.web.parameters import Parameters
from server.web.refusals import BodyTooLargeError, MethodNotAllowedError
from server.web.replies import ALWAYS, JSON, Reply, of_error
from server.web.request_id import request_id
from server.web.services import Services
from server.web.unforeseen import answerable

if TYPE_CHECKING:
    from opentelemetry.trace import Span, SpanContext

DISCARDED_BYTES_MAX = 16 * 1024 * 1024
DISCARD_SECONDS_MAX = 5.0
UNLIMITED = {"/healthz", "/readyz"}
"""What load balancers ask, whose checks must not fail for what their clients do."""
_METHODS = ("get", "post", "put", "delete")


@stream_request_body
class JsonHandler(RequestHandler):
    """Takes JSON and answers JSON; errors become problem documents."""

    parameters: ClassVar[tuple[str, ...] | None] = ()
    """The query parameters that the route takes; None means any, unread."""
    body_bytes_max: ClassVar[int] = admission.BODY_BYTES_MAX
    allowed: ClassVar[list[str]] = []
    offers: tuple[str, ...] = (JSON,)
    """The media types of a successful answer."""

    query: Parameters
    caller: Caller
    """Who asks, once the request is admitted."""

    def __init_subclass__(cls) -> None:
        own = [name for name in _METHODS if getattr(cls, name) is not getattr(RequestHandler, name)]
        methods = [name.upper() for name in own]
        cls.allowed = [*methods, *(["HEAD"] if "get" in own else []), *(["OPTIONS"] if own else [])]

    def begin(self, services: Services, route: str) -> None:
        """route: its path with places, for metrics and logs. problem: the code of the one it answers with."""
        self.services = services
        self.route = route
        self._body = bytearray()
        self._received_bytes = 0
        self._refusal: RingfenceError | None = None
        self._has_gone = False
        self.caller = ANYBODY
        self._limits: Mapping[str, str] = {}
        self.problem: str | None = None
        self.span: Span | None = None

    initialize: Callable[..., None] = begin
    """Called by Tornado with what the route gives; a handler that needs more takes it, and calls begin()."""

    def set_default_headers(self) -> None:
        self.set_header("Content-Type", JSON)
        for name, value in ALWAYS.items():
            self.set_header(name, value)

    # What comes in

    def prepare(self) -> None:
        """Judges the head of the request."""
        # Each request is a task of its own, so nobody else's lines carry it.
        structlog.contextvars.bind_contextvars(request=request_id(self.request.headers))
        if tracing.tracer is not None:
            self.span = tracing.begin_request(self.request.method or "", self.route, self.request.headers)
        # The count below takes the place of Tornado's limit, whose answer has no body.
        self._connection.set_max_body_size(1 << 62)
        try:
            try:
                self.admit()
            finally:
                self._count()  # whatever became of it
        except RingfenceError as error:
            if self.request.headers.get("Expect"):
                # The client waits to be told to go on; told this, it need not send the body.
                raise
            self._connection.set_body_timeout(DISCARD_SECONDS_MAX)
            self._refuse(error)

    def admit(self) -> None:
        """Raises the error for a request that its head alone condemns."""
        admission.check_head(self.request.headers)
        self.services.edge.check_host(self.request.headers)
        admission.check_length(self.request.headers, self.body_bytes_max)
        if self.request.method not in self.allowed:
            raise MethodNotAllowedError(self.request.method or "", self.allowed)
        self.caller = self.services.gate.admit(
            self.request.method or "", self.route, self.request.headers, self.request
        )
        admission.check_media_type(self.request.headers)
        admission.check_accept(self.request.headers, self.offers)
        if self.parameters is not None:
            self.query = Parameters(self.request.query, self.parameters)
            if not self.parameters:
                self.query.done()

    def _count(self) -> None:
        """Counts the request for whoever sent it. Raises RateLimitedError."""
        if self.route not in UNLIMITED:
            self._limits = self.services.edge.take(self.caller.token, self.request.remote_ip)
            self._tell_limits()

    def _tell_limits(self) -> None:
        for name, value in self._limits.items():
            self.set_header(name, value)

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        self._received_bytes += len(chunk)
        if self._received_bytes <= self.body_bytes_max:
            if self._refusal is None:
                self._body += chunk
            return None
        if not self._headers_written:
            self._body.clear()
            self._refuse(BodyTooLargeError(self.body_bytes_max))
        return self._close() if self._received_bytes > DISCARDED_BYTES_MAX else None

    def body(self) -> bytes:
        """The whole body; at most body_bytes_max."""
        return bytes(self._body)

    def check_accounts(self, scope: Scope, *user_ids: int) -> None:
        """Raises ForbiddenError if the caller is limited to an account that is not each of these."""
        with self.services.gate.telling(self.request.method or "", self.route, self.request):
            for user_id in user_ids:
                self.caller.check_account(user_id, scope)

    @property
    def origin(self) -> Origin:
        """Who asks, and from where, for the record of what operators do."""
        trace = None if self.span is None else tracing.traceparent(self.span)
        return Origin(self.caller, self.request.remote_ip or "", self.services.node_name, trace)

    @property
    def trace(self) -> "SpanContext | None":
        """What a span is linked with that does this request's work."""
        return None if self.span is None else self.span.get_span_context()

    # What goes out

    @property
    def answer_seconds(self) -> float:
        """How long the client waited for its answer."""
        return self.request.request_time()

    def answer(self, value: object, status: int = 200) -> None:
        """Ends the request with a value as JSON."""
        self.send(Reply(status, JSON, {}, msgspec.json.encode(value)))

    def send(self, reply: Reply) -> None:
        """Ends the request with a whole answer."""
        self._write(reply)
        self.finish()

    def is_wanted(self) -> bool:
        """Whether the client is still there."""
        return not self._has_gone

    def on_connection_close(self) -> None:
        self._has_gone = True
        super().on_connection_close()

    async def head(self, *places: str) -> None:
        """As GET; Tornado leaves the body out."""
        await self.get(*places)  # type: ignore[misc]

    def options(self, *_places: str) -> None:
        """What may be asked here."""
        self.set_status(204)
        self.set_header("Allow", ", ".join(self.allowed))
        self.clear_header("Content-Type")

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Called by Tornado for whatever a handler raised."""
        error = kwargs["exc_info"][1] if "exc_info" in kwargs else HTTPError(status_code)
        if isinstance(error, HTTPError) and error.status_code < 500:
            error = problem.from_tornado(error, self.request.method or "", self.allowed)
        problem_found = answerable(error, self.request.method, self.route)
        self.problem = problem_found.code
        self._write(of_error(problem_found))
        self.finish()

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """Nothing: write_error() follows, and logs what nobody foresaw."""

    # Refusals

    @property
    def _connection(self) -> HTTP1Connection:
        return cast(HTTP1Connection, self.request.connection)

    def _refuse(self, error: RingfenceError) -> None:
        """Answers with an error: after the body, or before one that is too large to wait for."""
        self._refusal = self._refusal or error
        setattr(self, str(self.request.method).lower(), self._finish_refusal)
        if isinstance(error, BodyTooLargeError):
            self.problem = self._refusal.code
            self._write(of_error(self._refusal))
            self.set_header("Connection", "close")
            self.flush()

    async def _finish_refusal(self, *_places: str) -> None:
        """Stands in for the method of a refused request; the body has gone by now."""
        if self._headers_written:
            await self._close()
        elif self._refusal is not None:
            raise self._refusal

    def on_finish(self) -> None:
        """Lets go of what leads back here: a cycle would stay until the next collection, which is rare."""
        self._refusal = None
        vars(self).pop(str(self.request.method).lower(), None)
        self._body = bytearray()

    async def _close(self) -> None:
        """Ends an answer that was given before the body's end, and with it the connection."""
        if not self._finished:
            await self.finish()
        self._connection.close()

    def _write(self, reply: Reply) -> None:
        self.set_status(reply.status)
        self._tell_limits()  # an error has cleared them
        self.set_header("Content-Type", reply.content_type)
        for name, value in reply.headers.items():
            self.set_header(name, value)
        self.set_header("Content-Length", str(len(reply.body)))
        self.write(reply.body)
