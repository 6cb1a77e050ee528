"""Traces for OpenTelemetry, where somebody collects them; nothing at all where nobody does.

Formula
    One span a request, a child of the trace that its `traceparent` names. One span a batch,
    a trace of its own with a link to each request in it: many causes have no one parent. One
    trace a run: `schedule TASK` (the start that the database granted), below it `run TASK`,
    whose context the job gets as TRACEPARENT; both in the request's trace, where one asked for it.

Cost
    `tracer` is None unless traces are wanted; whoever could trace looks at that first, and
    opentelemetry is not even imported.

Failures
    no collector    spans are dropped by the exporter's own thread; neither a request nor the
                    end of the node waits for it (END_SECONDS_MAX)
    no library      told at the start if `telemetry.otlp_endpoint` asks for traces

Not in any span: bodies, keys, amounts, accounts, errors' texts.
"""

import logging
import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import structlog

from server import __version__
from server.errors import ConfigurationError

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
    from opentelemetry.trace import Span, SpanContext, Tracer

END_SECONDS_MAX = 2.0
END_THREAD = "traces' end"
TOLD_SECONDS = 600.0
"""How often the log says that a collector is away."""
LINKS_MAX = 1000
"""Of one batch; a larger one has links to its first requests."""
ENDPOINT_VARIABLES = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_EXTRA = "pip install 'ringfence[otel]'"
_TRACE_PATH = "/v1/traces"

_SPEAKERS = ("exporter.otlp.proto.http.trace_exporter", "sdk.trace.export", "sdk._shared_internal")
log = structlog.get_logger(__name__)

tracer: "Tracer | None" = None
_provider: "TracerProvider | None" = None


class Seldom(logging.Filter):
    """Lets one record pass in so many seconds: the library complains at each try."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds
        self._passed_at = float("-inf")

    def filter(self, _: logging.LogRecord) -> bool:
        passes = time.monotonic() - self._passed_at >= self._seconds
        if passes:
            self._passed_at = time.monotonic()
        return passes


def configure(endpoint: str | None, node: str, environ: Mapping[str, str] = os.environ) -> None:
    """Sends traces from now on, if the setting or the standard variables name a collector.

    endpoint: of an OTLP collector over HTTP, such as http://127.0.0.1:4318.
    Raises ConfigurationError if that is set and the library is not there.
    """
    named = endpoint or next((environ[name] for name in ENDPOINT_VARIABLES if environ.get(name)), None)
    if named is None or environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415 an extra
            OTLPSpanExporter,
        )
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ImportError as error:
        if endpoint is not None:
            raise ConfigurationError(f"telemetry.otlp_endpoint needs {_EXTRA} ({error})") from error
        log.warning("no traces: a variable asks for them, and the library is not here", advice=_EXTRA)
        return
    # Without a setting the exporter reads the variables, with all that they can say.
    exporter = OTLPSpanExporter(endpoint.rstrip("/") + _TRACE_PATH) if endpoint else OTLPSpanExporter()
    begin(BatchSpanProcessor(exporter), node)
    for speaker in _SPEAKERS:
        logging.getLogger(f"opentelemetry.{speaker}").addFilter(Seldom(TOLD_SECONDS))
    log.info("traces are sent", endpoint=endpoint)


def begin(processor: "SpanProcessor", node: str) -> None:
    """Sends spans to a processor from now on."""
    global tracer, _provider  # noqa: PLW0603 one a process, as the libraries have it
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import SpanLimits, TracerProvider  # noqa: PLC0415

    resource = Resource.create(
        {"service.name": "ringfence", "service.version": __version__, "service.instance.id": node}
    )
    # An end of its own: the library's at exit may wait half a minute for a collector that is away.
    _provider = TracerProvider(
        resource=resource, span_limits=SpanLimits(max_links=LINKS_MAX), shutdown_on_exit=False
    )
    _provider.add_span_processor(processor)
    tracer = _provider.get_tracer("ringfence", __version__)


def end() -> None:
    """Sends what is left, for END_SECONDS_MAX at most; no span begins after this."""
    global tracer, _provider
    provider, tracer, _provider = _provider, None, None
    if provider is not None:
        ending = threading.Thread(target=provider.shutdown, name=END_THREAD, daemon=True)
        ending.start()
        ending.join(END_SECONDS_MAX)


# Each of these is called only while `tracer` is not None, or for a span that has begun.


def begin_request(method: str, route: str, headers: Mapping[str, str]) -> "Span":
    """The span of a request, in the trace that it names."""
    from opentelemetry.trace import SpanKind  # noqa: PLC0415

    assert tracer is not None, "see above"
    carrier = {name: headers[name] for name in ("traceparent", "tracestate") if name in headers}
    return tracer.start_span(
        f"{method} {route}",
        context=_context_of(carrier),
        kind=SpanKind.SERVER,
        attributes={"http.request.method": method, "http.route": route},
    )


def end_request(span: "Span", status: int) -> None:
    """The answer was given."""
    span.set_attribute("http.response.status_code", status)
    _end(span, is_ok=status < 500)


@contextmanager
def batch(requests: Iterable["SpanContext | None"], movements: int) -> Iterator[None]:
    """The span of one sending of a batch, with a link to each request in it."""
    from opentelemetry.trace import Link, SpanKind  # noqa: PLC0415

    assert tracer is not None, "see above"
    span = tracer.start_span(
        "money batch",
        kind=SpanKind.CLIENT,
        links=[Link(context) for context in requests if context is not None],
        attributes={"db.system.name": "postgresql", "ringfence.movements": movements},
    )
    try:
        yield
    except BaseException as error:
        span.set_attribute("error.type", type(error).__name__)
        _end(span, is_ok=False)
        raise
    _end(span, is_ok=True)


def now_ns() -> int:
    """Where a span begins that is made later."""
    return time.time_ns()  # noqa: TID251 collectors lay spans of many hosts side by side


def begin_run(task: str, run_id: int, trigger: str, asked_at_ns: int, parent: str | None = None) -> "Span":
    """The span of a run, below that of its start, which has just been granted.

    parent: the trace context of the request that asked for it; None makes a trace of its own.
    """
    from opentelemetry.trace import set_span_in_context  # noqa: PLC0415

    assert tracer is not None, "see above"
    about: dict[str, Any] = {"ringfence.task": task, "ringfence.run": run_id, "ringfence.trigger": trigger}
    context = _context_of({} if parent is None else {"traceparent": parent})
    start = tracer.start_span(f"schedule {task}", context, attributes=about, start_time=asked_at_ns)
    span = tracer.start_span(f"run {task}", context=set_span_in_context(start), attributes=about)
    start.end()
    return span


def end_run(span: "Span", status: str) -> None:
    """A run has ended."""
    span.set_attribute("ringfence.status", status)
    _end(span, is_ok=status == "succeeded")


def traceparent(span: "Span") -> str:
    """What makes somebody else's span a child of this one."""
    context = span.get_span_context()
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def enter(parent: str) -> None:
    """Spans that begin in this context from now on are children of that one; for jobs in the loop."""
    from opentelemetry.context import attach  # noqa: PLC0415

    attach(_context_of({"traceparent": parent}))


def _context_of(carrier: Mapping[str, str]) -> "Context":
    """The trace that W3C headers name; an empty one without them."""
    from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415
        TraceContextTextMapPropagator,
    )

    return TraceContextTextMapPropagator().extract(carrier)


def _end(span: "Span", *, is_ok: bool) -> None:
    from opentelemetry.trace import StatusCode  # noqa: PLC0415

    if not is_ok:
        span.set_status(StatusCode.ERROR)
    span.end()
