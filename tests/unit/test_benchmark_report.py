"""What the benchmark makes of its figures."""

from xml.etree import ElementTree

import pytest

from benchmarks.apparatus import h2load
from benchmarks.apparatus.children import BenchmarkError
from benchmarks.apparatus.http import Address, body_bytes, post
from benchmarks.burst import SECTIONS
from benchmarks.report import chart, document
from benchmarks.report.figures import Spread, percentile, ratios
from benchmarks.report.section import Section, Table, Target

H2LOAD = """\
progress: 100% done

finished in 1.58s, 6332.93 req/s, 1.13MB/s
requests: 10000 total, 10000 started, 9990 done, 5000 succeeded, 4990 failed, 10 errored, 0 timeout
status codes: 5000 2xx, 0 3xx, 4980 4xx, 10 5xx
traffic: 1.78MB (1870000) total, 996.09KB (1020000) headers (space savings 0.00%), 488.28KB (500000) data
"""


def test_h2loads_answers_are_counted_by_kind_and_what_is_missing_is_unanswered():
    burst = h2load.parse(H2LOAD, 10_000)
    assert burst == h2load.Burst(rate=6332.93, succeeded=5000, refused=4980, other=10, unanswered=10)


def test_h2load_that_printed_no_result_is_an_error_with_what_it_printed():
    with pytest.raises(BenchmarkError, match="Unable to get host address"):
        h2load.parse("Unable to get host address", 10)


def test_a_ratio_compares_within_each_run():
    assert ratios([10, 40, 90], [10, 20, 30]) == Spread(2, 1, 3)


@pytest.mark.parametrize(("percent", "expected"), [(50, 50), (99, 99), (99.9, 100), (0, 1)])
def test_a_percentile_is_a_value_that_occurred(percent, expected):
    assert percentile(range(1, 101), percent) == expected


def test_a_percentile_of_one_value_is_that_value():
    assert percentile([7.0], 99.9) == 7.0


@pytest.mark.parametrize(
    ("target", "verdict"),
    [
        (Target("speed", 1.1, 1.1), "reached"),
        (Target("speed", 1.1, 1.09), "MISSED"),
        (Target("latency", 1.1, 1.1, at_most=True), "reached"),
        (Target("latency", 1.1, 1.11, at_most=True), "MISSED"),
        (Target("speed", 1.1, None), "not measured"),
    ],
)
def test_a_target_is_reached_at_its_bound(target, verdict):
    assert target.verdict == verdict


def test_a_section_tells_what_was_wrong():
    section = Section("burst", [Table("Rates", ("who", "rate"), [("a", "1")])], wrong=["one was lost"])
    assert "WRONG: one was lost" in section.markdown()
    assert section.as_object()["wrong"] == ["one was lost"]


def test_figures_replace_those_of_their_own_section_alone():
    text = "".join(f"{document.begin(name)}\nold\n{document.END}\nwords\n" for name in ("burst", "lone"))
    changed = document.replace(document.replace(text, "lone", "new"), "lone", "newer")
    assert changed.count("old") == changed.count("newer") == 1
    assert changed.count("words") == 2
    assert changed.index("old") < changed.index(document.begin("lone")) < changed.index("newer")


@pytest.mark.parametrize(
    "text", ["nothing", document.begin("burst"), document.begin("burst") * 2 + document.END]
)
def test_a_document_without_its_markers_is_refused(text):
    with pytest.raises(document.MarkerError):
        document.replace(text, "burst", "new")


def test_every_section_has_its_place_in_the_document(project):
    text = (project / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    for name in SECTIONS:
        assert document.replace(text, name, "figures") != text


def test_a_chart_is_valid_xml_and_names_who_was_not_measured():
    bars = [
        chart.Bar("Ringfence & co", Spread(10, 9, 11), ours=True),
        chart.Bar("Express", None, why="no <node>"),
    ]
    words = " ".join(ElementTree.fromstring(chart.draw("Burst", "five runs", bars)).itertext())
    assert "Ringfence & co" in words
    assert "no <node>" in words


def test_a_request_announces_the_length_of_its_body():
    request = post(Address("127.0.0.1", 8400), "/withdraw", b"{}", {"Idempotency-Key": "k"})
    head, _, body = request.partition(b"\r\n\r\n")
    assert (body, body_bytes(head)) == (b"{}", 2)
    assert b"\r\nIdempotency-Key: k\r\n" in request


def test_an_answer_without_a_length_is_refused():
    with pytest.raises(ValueError, match="without Content-Length"):
        body_bytes(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked")
