"""The arithmetic of a burst, the reading of answers, and the limits that are checked before."""

import json
import resource
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.cli import burst as burst_module
from server.cli.account import Service, ServiceError
from server.cli.answers import (
    BODY_BYTES_MAX,
    HEAD_BYTES_MAX,
    REFUSED,
    SUCCEEDED,
    Answer,
    AnswerReader,
    MalformedAnswerError,
    kind_of,
)
from server.cli.burst import BurstError, default_url, ensure_local_ports, ensure_open_files
from server.cli.tally import Expected, Tally, differences, expect, latencies, percentile
from server.cli.verdict import Course, Verdict

ANSWER = b'HTTP/1.1 409 Conflict\r\nContent-Type: application/json\r\ncontent-length: 13\r\n\r\n{"code": "x"}'


def problem(status: int, **members: object) -> Answer:
    return Answer(status, json.dumps(members).encode())


# What should come out


def test_ten_thousand_withdrawals_of_two_from_ten_thousand_end_at_zero() -> None:
    assert expect(10_000, 2, 10_000) == Expected(succeeded=5_000, refused=5_000, balance=0)


@given(st.integers(1, 300), st.integers(1, 50), st.integers(0, 3_000))
def test_the_expected_end_is_the_one_of_withdrawing_one_by_one(
    requests: int, amount: int, balance: int
) -> None:
    left, succeeded = balance, 0
    for _ in range(requests):
        if left >= amount:
            left, succeeded = left - amount, succeeded + 1
    assert expect(requests, amount, balance) == Expected(succeeded, requests - succeeded, left)


def test_an_exact_end_has_no_differences() -> None:
    assert differences(Expected(2, 1, 0), Tally({SUCCEEDED: 2, REFUSED: 1}, 0, 0)) == []


def test_each_number_that_differs_is_named_with_both_values() -> None:
    tally = Tally({SUCCEEDED: 1, REFUSED: 1, "HTTP 500": 1}, balance=2, entries_sum=0)
    assert differences(Expected(2, 1, 0), tally) == [
        "succeeded: 1 instead of 2",
        "final balance: 2 instead of 0",
        "sum of entries: 0 instead of 2",
        "HTTP 500: 1 instead of none",
    ]


def test_an_account_that_could_not_be_asked_is_never_right() -> None:
    lines = differences(Expected(2, 1, 0), Tally({SUCCEEDED: 2, REFUSED: 1}, None, None))
    assert [line.split(":")[0] for line in lines] == ["final balance", "sum of entries"]


def test_the_most_frequent_surprise_comes_first() -> None:
    tally = Tally({"HTTP 500": 1, "network: reset": 3, SUCCEEDED: 9}, 0, 0)
    assert list(tally.others) == ["network: reset", "HTTP 500"]


def test_percentiles_are_values_that_occurred() -> None:
    ordered = [float(value) for value in range(1, 101)]
    assert [percentile(ordered, percent) for percent in (1, 50, 90, 99, 100)] == [1, 50, 90, 99, 100]
    assert percentile([7.0], 50) == percentile([7.0], 99) == 7.0


def test_latencies_need_no_order_and_no_answers_have_none() -> None:
    measured = latencies([3.0, 1.0, 2.0])
    assert measured is not None
    assert (measured.p50, measured.max) == (2.0, 3.0)
    assert latencies([]) is None


def test_the_form_for_programs_says_what_differs_and_what_was_measured() -> None:
    course = Course({SUCCEEDED: 1}, 1, 0.5, 0.1, 2.0, latencies([0.25]))
    verdict = Verdict("http://x:1", 7, course, Tally({SUCCEEDED: 1}, 0, 0), Expected(1, 0, 0)).as_object()
    assert verdict["correct"] is True
    assert verdict["differences"] == []
    assert (verdict["userId"], verdict["perSecond"]) == (7, 0.5)
    assert verdict["latencySeconds"] == {"p50": 0.25, "p90": 0.25, "p99": 0.25, "max": 0.25}


# What came back


@pytest.mark.parametrize("cut", range(len(ANSWER) + 1))
def test_an_answer_is_read_the_same_wherever_it_is_cut(cut: int) -> None:
    reader = AnswerReader()
    parts = [reader.feed(part) for part in (ANSWER[:cut], ANSWER[cut:]) if part]
    assert parts[-1] == Answer(409, b'{"code": "x"}')
    assert parts[:-1] in ([], [None])


def test_an_answer_without_a_length_ends_with_its_connection() -> None:
    reader = AnswerReader()
    assert reader.feed(b"HTTP/1.0 200 OK\r\n\r\nall of it") is None
    assert reader.end() == Answer(200, b"all of it")


def test_a_connection_that_ends_too_early_gives_no_answer() -> None:
    for part in (b"", b"HTTP/1.1 200 OK\r\nContent-Le", ANSWER[:-1]):
        reader = AnswerReader()
        assert reader.feed(part) is None
        assert reader.end() is None


def test_an_interim_answer_is_passed_over() -> None:
    reader = AnswerReader()
    answer = reader.feed(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
    assert answer == Answer(200, b"{}")


def test_an_answer_without_content_has_an_empty_body() -> None:
    assert AnswerReader().feed(b"HTTP/1.1 204 No Content\r\n\r\n") == Answer(204, b"")


@pytest.mark.parametrize(
    "received",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 2x0 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x" * HEAD_BYTES_MAX,
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (BODY_BYTES_MAX + 1),
    ],
    ids=["another protocol", "no status", "negative length", "chunks", "endless head", "endless body"],
)
def test_what_is_not_an_answer_is_malformed(received: bytes) -> None:
    with pytest.raises(MalformedAnswerError):
        AnswerReader().feed(received)


def test_only_the_code_insufficient_funds_is_a_refusal() -> None:
    assert kind_of(Answer(200, b"{}")) == SUCCEEDED
    assert kind_of(problem(409, code="insufficient_funds")) == REFUSED
    assert kind_of(problem(409, code="conflict")) == "HTTP 409 conflict"
    assert kind_of(problem(503, code="insufficient_funds")) == "HTTP 503 insufficient_funds"


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"code": 3}', b"\xff", b""])
def test_an_answer_without_a_code_is_counted_by_its_status(body: bytes) -> None:
    assert kind_of(Answer(502, body)) == "HTTP 502"


# What is checked before anything is sent


def test_a_hard_limit_that_is_too_low_is_named_with_the_command_that_raises_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 4096))
    with pytest.raises(BurstError) as caught:
        ensure_open_files(10_000)
    for part in ("10,000 connections", "10,064 open files", "4,096", "prlimit --pid $$ --nofile=10064:10064"):
        assert part in str(caught.value)


def test_the_soft_limit_is_raised_to_the_hard_one(monkeypatch: pytest.MonkeyPatch) -> None:
    raised: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 20_000))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: raised.append(limits))
    ensure_open_files(10_000)
    assert raised == [(20_000, 20_000)]


def test_a_limit_that_suffices_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    monkeypatch.setattr(resource, "setrlimit", lambda *_: pytest.fail("raised"))
    ensure_open_files(10_000)


def test_more_connections_than_local_ports_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ports = tmp_path / "ip_local_port_range"
    ports.write_text("32768\t33767\n", encoding="ascii")
    monkeypatch.setattr(burst_module, "PORTS_FILE", ports)
    ensure_local_ports(1000)
    with pytest.raises(BurstError, match=r"1,001 connections .* 1,000"):
        ensure_local_ports(1001)


@pytest.mark.parametrize(
    "url", ["https://x/path", "x:1", "http://", "http://x:y", "http://x/path", "ftp://x"]
)
def test_a_url_that_cannot_be_used_is_refused(url: str) -> None:
    with pytest.raises(ServiceError, match=r"expected http://HOST:PORT|Port could not"):
        Service(url)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8100"),
        ("0.0.0.0", "http://127.0.0.1:8100"),
        ("::", "http://[::1]:8100"),
    ],
)
def test_the_settings_say_where_the_service_is(
    host: str, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(f"http:\n  host: '{host}'\n  port: 8100\n", encoding="utf-8")
    monkeypatch.setenv("RINGFENCE_CONFIG", str(config))
    assert default_url() == url
