"""Traces of requests and of batches, as a collector gets them."""

import asyncio
import subprocess
import sys

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from server import tracing

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACED = {"traceparent": f"00-{TRACE}-{PARENT}-01"}


@pytest.fixture
def spans(service):
    """What was traced so far."""
    exporter = InMemorySpanExporter()
    tracing.begin(SimpleSpanProcessor(exporter), "node-1")
    yield exporter.get_finished_spans
    tracing.end()


def named(spans, name):
    return [span for span in spans() if span.name == name]


@pytest.mark.gen_test
async def test_a_request_is_a_span_of_the_trace_that_it_names(service, spans):
    await service.call("GET", "/users/1", headers=TRACED)
    await service.call("GET", "/users/99", headers=TRACED)
    one, none = named(spans, "GET /users/{userId}")
    for span, status in ((one, 200), (none, 404)):
        assert f"{span.context.trace_id:032x}" == TRACE
        assert f"{span.parent.span_id:016x}" == PARENT
        assert span.kind is SpanKind.SERVER
        assert span.attributes["http.response.status_code"] == status
        assert span.status.status_code is StatusCode.UNSET
    assert one.resource.attributes["service.instance.id"] == "node-1"


@pytest.mark.gen_test
async def test_a_batch_is_linked_with_each_request_in_it_and_each_request_with_one_batch(service, spans):
    body = {"userId": 1, "amount": 1}
    listed = {"withdrawals": [body, body]}
    asked = [service.call("POST", "/withdraw", body, headers=TRACED) for _ in range(50)]
    asked += [service.call("POST", "/withdrawals", listed, headers=TRACED)]
    await asyncio.gather(*asked)
    requests = named(spans, "POST /withdraw") + named(spans, "POST /withdrawals")
    batches = named(spans, "money batch")
    assert {f"{span.context.trace_id:032x}" for span in requests} == {TRACE}
    linked = [link.context.span_id for span in batches for link in span.links]
    assert sorted(linked) == sorted(span.context.span_id for span in requests)
    assert len(batches) < len(requests) == 51
    assert sum(span.attributes["ringfence.movements"] for span in batches) == 52
    assert not {span.context.trace_id for span in batches} & {span.context.trace_id for span in requests}


@pytest.mark.gen_test
async def test_a_request_that_fails_is_an_error_and_no_span_holds_what_was_asked(service, spans, database):
    with database.connect_as_owner() as owner:
        owner.execute("alter table entries add constraint surprise check (amount <> -424242)")
        owner.execute("update users set balance = 99999999")
    secret = {"Idempotency-Key": "leaked-key"}
    answer = await service.call("POST", "/withdraw", {"userId": 1, "amount": 424242}, headers=secret)
    assert answer.status == 500
    (request,) = named(spans, "POST /withdraw")
    assert request.status.status_code is StatusCode.ERROR
    assert named(spans, "money batch")[-1].attributes["error.type"] == "CheckViolation"
    told = "".join(span.to_json() for span in spans())
    assert "424242" not in told and "leaked-key" not in told


@pytest.mark.gen_test
async def test_a_traceparent_that_is_none_begins_a_trace_of_its_own(service, spans):
    await service.call("GET", "/users/1", headers={"traceparent": "00-nonsense"})
    (span,) = named(spans, "GET /users/{userId}")
    assert span.parent is None


def test_nothing_of_it_is_imported_where_nobody_wants_traces(project):
    code = "import server.node, sys; print(sorted(name for name in sys.modules if 'opentelemetry' in name))"
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=project, capture_output=True, text=True, check=True
    )
    assert found.stdout == "[]\n"
