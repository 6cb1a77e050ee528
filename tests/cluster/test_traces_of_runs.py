"""Traces of a living node: from a schedule to its run and into the job."""

import signal
import urllib.request

import yaml
from collector import Collector
from fleet import wait_until


def test_a_trace_leads_from_the_schedule_to_the_run_and_into_the_job_and_comes_before_the_node_ends(fleet):
    made = fleet(
        {
            "process": {"function": "witness:tell_trace", "every": "1h", "params": {"path": ""}},
            "loop": {
                "function": "witness:tell_trace_in_the_loop",
                "every": "1h",
                "isolation": "loop",
                "params": {"path": ""},
            },
            "fails": {"function": "witness:fails", "every": "1h"},
        },
        settle=0.1,
    )
    settings = yaml.safe_load(made.config.read_text())
    with Collector() as collector:
        made.config.write_text(yaml.safe_dump(settings | {"telemetry": {"otlp_endpoint": collector.url}}))
        made.start(1)
        made.wait_ready()
        told = {task: made.ended(task=task) for task in ("process", "loop", "fails")}
        made.signal(1, signal.SIGTERM)
        assert made.wait_for_end(1, 30) == 0
        wait_until(lambda: len(collector.named("run fails")) == 1, why="the last spans")
    assert {node for node, _ in collector.spans} == {"node-1"}
    for task, run in told.items():
        (start,) = collector.named(f"schedule {task}")
        (span,) = collector.named(f"run {task}")
        assert (span.trace_id, span.parent_span_id) == (start.trace_id, start.span_id)
        assert start.parent_span_id == b""
        facts = {one.key: one.value for one in span.attributes}
        assert facts["ringfence.run"].int_value == run["id"]
        assert facts["ringfence.status"].string_value == run["status"]
        ids = f"{span.trace_id.hex()}-{span.span_id.hex()}"
        if task == "process":
            assert run["result"]["context"] == run["result"]["environment"]
            assert run["result"]["context"].startswith(f"00-{ids}-")
        if task == "loop":
            assert run["result"]["context"].startswith(f"00-{ids}-")
            assert run["result"]["library"] == ids
    assert collector.named("run fails")[0].status.code == 2


def test_a_run_that_a_request_asked_for_goes_on_in_its_trace_and_the_next_one_does_not(fleet, database):
    made = fleet({"work": {"function": "witness:fails", "every": "1h"}}, settle=0.1)
    settings = yaml.safe_load(made.config.read_text())
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    with Collector() as collector:
        made.config.write_text(yaml.safe_dump(settings | {"telemetry": {"otlp_endpoint": collector.url}}))
        made.start(1, 2)
        made.wait_ready()
        first = made.ended(task="work")
        request = urllib.request.Request(
            f"http://127.0.0.1:{made.port + 1}/tasks/work/run",
            method="POST",
            headers={"traceparent": f"00-{trace_id}-b7ad6b7169203331-01"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status == 202
        wait_until(lambda: made.ended(task="work")["id"] > first["id"], why="the run that was asked for")
        # Nobody's request: as from psql, or a node of the release before.
        with database.connect() as connection:
            connection.execute("select run_task('work')")
        wait_until(lambda: len(made.runs(task="work")) == 3, why="one more run")
        made.ended(task="work")
        for number in (1, 2):
            made.signal(number, signal.SIGTERM)
            assert made.wait_for_end(number, 30) == 0
        wait_until(lambda: len(collector.named("run work")) == 3, why="the last spans")
    (asked,) = collector.named("POST /tasks/{name}/run")
    assert asked.trace_id.hex() == trace_id
    starts = sorted(collector.named("schedule work"), key=lambda span: span.start_time_unix_nano)
    assert [span.parent_span_id for span in starts] == [b"", asked.span_id, b""]
    assert len({span.trace_id for span in starts}) == 3 and starts[1].trace_id == asked.trace_id
