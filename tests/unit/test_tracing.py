"""Whether traces are sent, and what is said if they can't be."""

import logging
import sys
import threading
from time import monotonic

import pytest

from server import tracing
from server.errors import ConfigurationError

ENDPOINT = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def without_traces():
    yield
    tracing.end()


@pytest.fixture
def no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)


def test_nobody_asks_for_traces_and_there_are_none() -> None:
    tracing.configure(None, "node-1", {})
    assert tracing.tracer is None


@pytest.mark.parametrize(
    ("endpoint", "environ"),
    [
        (ENDPOINT, {}),
        (None, {"OTEL_EXPORTER_OTLP_ENDPOINT": ENDPOINT}),
        (None, {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": ENDPOINT}),
    ],
)
def test_the_setting_or_a_standard_variable_asks_for_them(endpoint, environ) -> None:
    tracing.configure(endpoint, "node-1", environ)
    assert tracing.tracer is not None


def test_a_standard_variable_switches_them_off() -> None:
    tracing.configure(ENDPOINT, "node-1", {"OTEL_SDK_DISABLED": "true"})
    assert tracing.tracer is None


def test_a_setting_without_the_library_is_refused_with_what_to_install(no_library) -> None:
    with pytest.raises(ConfigurationError, match=r"telemetry.otlp_endpoint.*pip install 'ringfence\[otel\]'"):
        tracing.configure(ENDPOINT, "node-1", {})


def test_a_variable_without_the_library_is_told_and_no_reason_to_fail(no_library, capsys) -> None:
    tracing.configure(None, "node-1", {"OTEL_EXPORTER_OTLP_ENDPOINT": ENDPOINT})
    assert tracing.tracer is None
    assert "no traces" in capsys.readouterr().out


def test_a_collector_that_is_away_holds_up_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "3")
    tracing.configure(ENDPOINT, "node-1", {})
    tracing.end_run(tracing.begin_run("task", 1, "schedule", tracing.now_ns()), "succeeded")
    began = monotonic()
    tracing.end()
    assert monotonic() - began < tracing.END_SECONDS_MAX + 5  # the library itself would take ten seconds
    assert tracing.tracer is None
    for thread in threading.enumerate():
        if thread.name == tracing.END_THREAD:
            thread.join(20)


def test_of_failures_to_export_the_log_has_one_line_in_a_while() -> None:
    seldom = tracing.Seldom(60)
    record = logging.makeLogRecord({})
    assert [seldom.filter(record) for _ in range(3)] == [True, False, False]
    assert tracing.Seldom(0).filter(record)
