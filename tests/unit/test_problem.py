"""How errors look from outside: RFC 9457, and nothing of the inside."""

import inspect
import json
import re
from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest
from tornado.httputil import HTTPHeaders
from tornado.web import HTTPError

from server import errors
from server.access import refusals as access
from server.money import refusals as money
from server.postgres.connections import UnansweredError
from server.web import admission, problem
from server.web import refusals as web
from server.web.health import NotReadyError
from server.web.parameters import InvalidParametersError, Parameters, cursor_after, cursor_in_time, id_in_path

SAMPLES = [
    errors.InvalidJsonError("The body is empty."),
    web.UnsupportedMediaTypeError("no"),
    web.BodyTooLargeError(65536),
    errors.InvalidRequestError([("/amount", "is missing"), ("", "must be an object")]),
    InvalidParametersError([("limit", "must be a whole number")]),
    web.RouteNotFoundError("There is nothing at /x."),
    web.MethodNotAllowedError("DELETE", ["GET", "HEAD"]),
    errors.UserNotFoundError(7),
    money.NotYetOpenedError(7, "2026-01-01T00:00:00.000000Z"),
    errors.TaskNotFoundError("x"),
    errors.RunNotFoundError("x"),
    money.MovementNotFoundError("x"),
    money.InsufficientFundsError(1, 5, 7),
    money.BalanceLimitError(1, 5, 7),
    money.RequestIdReusedError("0198c5a0-7d3e-7c4a-9f10-6b2f5d1e8a77"),
    money.OutcomeUnknownError("0198c5a0-7d3e-7c4a-9f10-6b2f5d1e8a77"),
    errors.DatabaseUnavailableError("secret socket /run/x"),
    UnansweredError("secret socket /run/x"),
    errors.TaskRefusedError("x"),
    errors.OverloadedError(40_000),
    money.NotSentError(),
    money.AccountBusyError([7]),
    money.AccountBusyError([7, 8]),
    web.InvalidIdempotencyKeyError("no"),
    money.IdempotencyKeyReusedError("k"),
    money.IdempotencyConflictError("k"),
    NotReadyError(["it is stopping"]),
    errors.UnexpectedError("urn:uuid:0198c5a0-7d3e-7c4a-9f10-6b2f5d1e8a77"),
]


@pytest.mark.parametrize("error", SAMPLES, ids=lambda error: type(error).__name__)
def test_every_problem_has_an_absolute_type_its_status_and_its_code(error):
    document = json.loads(problem.document(error))
    assert urlsplit(document["type"]).scheme
    assert document["type"].endswith(error.code)
    assert (document["status"], document["code"], document["title"]) == (
        error.status,
        error.code,
        error.title,
    )
    assert document["detail"]


@pytest.mark.parametrize("error", SAMPLES, ids=lambda error: type(error).__name__)
def test_members_of_an_error_never_hide_those_of_the_standard(error):
    assert not {"type", "title", "status", "detail", "code"} & set(error.members())


def test_every_error_has_a_code_a_title_and_a_status_of_its_own_kind():
    kinds = [
        kind
        for part in (errors, access, money, web)
        for _, kind in inspect.getmembers(part, inspect.isclass)
        if issubclass(kind, errors.RingfenceError)
    ]
    for kind in kinds:
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", kind.code)
        assert 400 <= kind.status < 600
        assert kind.title


def test_insufficient_funds_tells_balance_and_shortfall():
    document = json.loads(problem.document(money.InsufficientFundsError(1, 5, 7)))
    assert (document["balance"], document["shortfall"], document["amount"], document["userId"]) == (
        5,
        2,
        7,
        1,
    )


def test_faulty_members_are_named_by_json_pointers_in_uri_form():
    document = json.loads(problem.document(SAMPLES[3]))
    assert document["errors"] == [
        {"pointer": "#/amount", "detail": "is missing"},
        {"pointer": "#", "detail": "must be an object"},
    ]


def test_an_unreachable_database_says_when_to_come_back_and_not_where_it_is():
    for error in (errors.DatabaseUnavailableError("secret socket /run/x"), UnansweredError("secret")):
        assert b"secret" not in problem.document(error)
        assert problem.headers(error) == {"Retry-After": "1"}


def test_an_unknown_outcome_says_what_to_ask_about():
    document = json.loads(problem.document(money.OutcomeUnknownError("abc")))
    assert document["requestId"] == "abc"
    assert "GET /requests/abc" in document["detail"]


def test_only_errors_that_answer_for_themselves_are_foreseen():
    assert all(problem.is_foreseen(error) for error in SAMPLES)
    assert problem.is_foreseen(HTTPError(405))
    for error in (
        ValueError(),
        HTTPError(500),
        errors.RunLostError(),
        errors.ConfigurationError(),
    ):
        assert not problem.is_foreseen(error)


# The head of a request


@pytest.mark.parametrize(
    "content_type", ["application/json", "Application/JSON", "application/json; charset=utf-8"]
)
def test_json_is_taken_in_any_case_and_with_parameters(content_type):
    admission.check_media_type(HTTPHeaders({"Content-Length": "2", "Content-Type": content_type}))


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Length": "2"},
        {"Transfer-Encoding": "chunked"},
        {"Content-Length": "2", "Content-Type": ""},
        {"Content-Length": "2", "Content-Type": "text/plain"},
        {"Content-Length": "2", "Content-Type": "application/jsonx"},
        {"Content-Length": "2", "Content-Type": "application/problem+json"},
        {"Content-Length": "2", "Content-Type": "application/json,text/plain"},
        {"Content-Length": "2", "Content-Type": "application/json", "Content-Encoding": "gzip"},
    ],
)
def test_a_body_that_is_not_plain_json_is_refused_by_its_head(headers):
    with pytest.raises(web.UnsupportedMediaTypeError):
        admission.check_media_type(HTTPHeaders(headers))


def test_a_request_without_a_body_needs_no_content_type():
    admission.check_media_type(HTTPHeaders())
    admission.check_media_type(HTTPHeaders({"Content-Length": "0", "Content-Type": "text/plain"}))


@pytest.mark.parametrize("length", ["65537", "1000000000", "9" * 40, "65537, 65537"])
def test_a_length_beyond_the_limit_is_refused_before_any_byte(length):
    with pytest.raises(web.BodyTooLargeError):
        admission.check_length(HTTPHeaders({"Content-Length": length}))


@pytest.mark.parametrize("length", ["", "-1", "+1", "1e3", "0x10", "1 2", "1,2", "\u0661"])
def test_a_length_that_is_no_number_is_refused(length):
    with pytest.raises(errors.RequestError):
        admission.check_length(HTTPHeaders({"Content-Length": length}))


# Parameters


def faults_of(query: str, takes: tuple[str, ...], read) -> dict[str, str]:
    parameters = Parameters(query, takes)
    read(parameters)
    with pytest.raises(InvalidParametersError) as caught:
        parameters.done()
    return dict(caught.value.faults)


def test_unknown_repeated_and_wrong_parameters_are_all_named():
    faults = faults_of(
        "limit=0&limit=5&colour=red&status=odd",
        ("limit", "status"),
        lambda found: (found.whole_number("limit", 100, 1000), found.choice("status", ("lost",))),
    )
    assert set(faults) == {"limit", "colour", "status"}


@pytest.mark.parametrize("text", ["", "0", "-1", "1001", "1.0", "1e2", "abc", "9" * 5000, "\u0661", " 1"])
def test_a_limit_outside_its_range_is_named(text):
    faults_of(f"limit={text}", ("limit",), lambda found: found.whole_number("limit", 100, 1000))


@pytest.mark.parametrize(
    "text",
    [
        "2026",
        "2026-01-31",
        "2026-02-30T00:00:00Z",
        "2026-01-31T00:00:00",
        "2026-01-31T00:00:00+02:00",
        "0000-01-01T00:00:00Z",
    ],
)
def test_a_moment_that_is_not_rfc_3339_in_a_query_is_named(text):
    faults_of(f"since={text}", ("since",), lambda found: found.moment("since"))


@pytest.mark.parametrize(
    "text", ["2026-01-31T08:00:00Z", "2026-01-31t09:00:00.000000z", "2026-01-31T10:00:00.5%2B02:00"]
)
def test_a_moment_keeps_its_offset(text):
    found = Parameters(f"since={text}", ("since",)).moment("since")
    assert found is not None
    assert found.utcoffset() is not None


def test_a_cursor_is_good_for_its_own_kind_alone_and_unchanged():
    cursor = cursor_after("run", 123)
    assert Parameters(f"cursor={cursor}", ("cursor",)).cursor("cursor", "run") == 123
    for wrong, kind in (
        (cursor, "entry"),
        (cursor + "x", "run"),
        ("!", "run"),
        ("", "run"),
        ("%C3%A9", "run"),
    ):
        faults_of(f"cursor={wrong}", ("cursor",), lambda found, kind=kind: found.cursor("cursor", kind))


def test_a_cursor_of_a_list_in_time_brings_back_its_moment_to_the_microsecond():
    cursor = cursor_in_time("run", "2026-01-31T08:00:00.000001Z", 123)
    place = Parameters(f"cursor={cursor}", ("cursor",)).place_in_time("cursor", "run")
    assert place == (datetime(2026, 1, 31, 8, 0, 0, 1, UTC), 123)
    assert Parameters("", ("cursor",)).place_in_time("cursor", "run") == (None, None)
    for wrong in (cursor_after("run", 123), cursor_after("run", 1, 2, 3), cursor_after("entry", 1, 2), "x"):
        faults_of(f"cursor={wrong}", ("cursor",), lambda found: found.place_in_time("cursor", "run"))
    faults_of(f"cursor={cursor}", ("cursor",), lambda found: found.cursor("cursor", "run"))


def test_a_query_that_is_not_utf8_or_endless_is_refused_as_a_whole():
    for query in ("a=%ff", "&".join(f"a{n}=1" for n in range(1000))):
        with pytest.raises(errors.RequestError):
            Parameters(query, ())


@pytest.mark.parametrize(
    "text", ["abc", "0", "-1", "1.5", "9007199254740992", "9" * 23, "9" * 9000, "1 ", "\u0661"]
)
def test_an_id_in_a_path_is_a_number_that_json_can_carry(text):
    with pytest.raises(InvalidParametersError):
        id_in_path("userId", text)
