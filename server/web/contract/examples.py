"""An example of every answer and of every problem, made of the very types and errors that are sent.

Pure: the same code makes the same examples.
"""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from msgspec import Raw, json, to_builtins

from server.access.audit import AuditRecord
from server.access.refusals import (
    CrossSiteRequestError,
    ForbiddenError,
    InvalidTokenError,
    UnauthenticatedError,
)
from server.cluster.placement import Candidate, Placement
from server.cluster.roster import Member
from server.cron.history import Run, RunInFull, Running, TaskState
from server.errors import (
    DatabaseUnavailableError,
    InvalidJsonError,
    InvalidRequestError,
    OverloadedError,
    RequestError,
    RingfenceError,
    RunNotFoundError,
    TaskNotFoundError,
    TaskRefusedError,
    UnexpectedError,
    UserNotFoundError,
)
from server.money.ledger_check import LedgerReport
from server.money.pulse import Pulse, PulseSecond
from server.money.records import Account, Entry, PastBalance, Receipt
from server.money.refusals import (
    AccountBusyError,
    BalanceLimitError,
    IdempotencyConflictError,
    IdempotencyKeyReusedError,
    InsufficientFundsError,
    MovementNotFoundError,
    OutcomeUnknownError,
    RequestIdReusedError,
)
from server.web import problem
from server.web.admission import BODY_BYTES_MAX
from server.web.audit import AuditPage
from server.web.cluster import NodeList, RunsPage, TaskList
from server.web.contract.answers import Alive, Index, Ready, Results
from server.web.edge import HostNotAllowedError, RateLimitedError
from server.web.health import NotReadyError
from server.web.limits import HEAD_BYTES_MAX, HEAD_LINES_MAX
from server.web.log_level import LogLevel
from server.web.money import EntriesPage
from server.web.parameters import InvalidParametersError, cursor_after, cursor_in_time
from server.web.refusals import (
    BodyTooLargeError,
    HeadTooLargeError,
    InvalidIdempotencyKeyError,
    MethodNotAllowedError,
    NotAcceptableError,
    RouteNotFoundError,
    UnsupportedMediaTypeError,
)
from server.web.session import SessionState

USER_ID: Final = 1
RUN_ID: Final = 41
TASK: Final = "sieve_primes"
REQUEST_ID: Final = "019ab4de-4c00-7000-8000-2f1d3c5b7a90"
KEY: Final = "order-4711"
MOMENT: Final = "2026-01-31T08:00:00Z"
_AT: Final = "2026-01-31T08:00:00.000000Z"
_PROGRESS: Final = Raw(b'{"done":250,"total":1000,"message":"up to 250000000"}')

PARAMETERS: Mapping[str, Any] = {
    "userId": USER_ID,
    "runId": RUN_ID,
    "name": TASK,
    "requestId": REQUEST_ID,
    "version": "b1946ac92492d234",
    "file": "main.js",
}
"""By the name of a place in a path."""

_RUN = Run(
    id=RUN_ID, task=TASK, node="node-3", status="running", trigger="schedule",
    scheduled_for=_AT, started_at=_AT, finished_at=None, duration_seconds=None,
    lateness_seconds=0.04, attempt=1, progress=_PROGRESS, result=None, error=None,
    predecessor=None, successor=None,
)  # fmt: skip
RUNS_CURSOR: Final = cursor_in_time("run", _AT, RUN_ID)
_RUNNING = Running(
    run_id=RUN_ID, node="node-3", host="alpha", pid=4242,
    started_at=_AT, elapsed_seconds=30.5, progress=_PROGRESS,
)  # fmt: skip
_TASK = TaskState(
    name=TASK, function="server.jobs.primes:sieve_primes", schedule="every 8m", paused=False,
    owner="node-3", next_run_at="2026-01-31T08:08:00.000000Z", running=_RUNNING, last_run=_RUN,
    skipped_ticks=0, last_skip=None, retired_at=None,
)  # fmt: skip
_ENTRY = Entry(
    id=2, user_id=USER_ID, amount=-250, balance_after=9750, request_id=UUID(REQUEST_ID), created_at=_AT
)
_RECEIPT = Receipt(USER_ID, 250, 9750, 2, REQUEST_ID)
_SHORT = InsufficientFundsError(USER_ID, 9750, 99999)

ANSWERS: Mapping[Any, Any] = {
    Receipt: _RECEIPT,
    Results: Results(
        [
            {"status": 200, **to_builtins(_RECEIPT)},
            {**problem.members(_SHORT), "requestId": "019ab4de-4c00-7000-8000-2f1d3c5b7a91"},
        ]
    ),
    Account: Account(USER_ID, 10_000),
    PastBalance: PastBalance(USER_ID, 9_750, _AT),
    Entry: _ENTRY,
    EntriesPage: EntriesPage([_ENTRY], cursor_after("entry", 2)),
    Pulse: Pulse(_AT, [PulseSecond(_AT, 5_000, 0, 5_000, 2, 10_000, 8_000)]),
    LedgerReport: LedgerReport(True, 2, 5, 10_500, 10_500, 0, [], _AT, 0.012),
    TaskList: TaskList([_TASK]),
    TaskState: _TASK,
    Placement: Placement(
        task=TASK, owner="node-3", tasks=10, nodes=6, least=1, most=2,
        candidates=[Candidate("node-3", "live", True, 2, 1, 1)],
        reason="node-3 ranks it first and has a place for it.",
    ),
    RunsPage: RunsPage([_RUN], RUNS_CURSOR),
    RunInFull: RunInFull(**{name: getattr(_RUN, name) for name in Run.__struct_fields__}, output="sieving\n"),
    NodeList: NodeList(
        [
            Member(
                name="node-3", state="live", incarnation=7, host="alpha", pid=4242,
                url="http://127.0.0.1:8003", version="0.1.0", started_at=_AT, lease_seconds=14.2,
                owns=[TASK], runs=[RUN_ID],
            )
        ]
    ),
    Alive: Alive("ok", "node-3"),
    Ready: Ready("ready", "node-3"),
    LogLevel: LogLevel("node-3", "debug", "info", 600.0),
    dict: {"openapi": "3.1.0", "info": {"title": "Ringfence", "version": "0.1.0"}, "paths": {}},
    AuditPage: AuditPage(
        [
            AuditRecord(
                id=7, at=_AT, actor_kind="token", actor="5f0c9d2a71be", actor_name="Ann",
                action="task.pause", target=TASK, outcome="paused", peer="10.0.0.4", node="node-3",
            )
        ],
        cursor_after("audit", 7),
    ),
    SessionState: SessionState(True, True, "page", ["operate", "read"], None, None),
    Index: Index("ringfence", "0.1.0", "node-3", {"/withdraw": ["POST", "OPTIONS"]}),
}  # fmt: skip
"""By the type of an answer."""

OTHERS: Mapping[str, Any] = {
    "text/event-stream": {
        "id": "119",
        "event": "started",
        "data": '{"id": 119, "channel": "task_events", "event": "started", "task": "sieve_primes", '
        f'"run": {RUN_ID}, "node": "node-3", "at": "{_AT}", "detail": "schedule"}}',
    },
    "text/html": "<!doctype html>",
    "text/javascript": "export {};",
    "text/css": "body { margin: 0 }",
    "image/svg+xml": "<svg/>",
    "text/plain": "# HELP ringfence_database_connections Connections of the pool.\n"
    "# TYPE ringfence_database_connections gauge\nringfence_database_connections 1.0\n",
}
"""By the media type of an answer that is no JSON."""

PARAMETER_FAULT: Final = InvalidParametersError([("limit", "must be a whole number from 1 to 1000")])
"""What invalid_request looks like where nothing but parameters can be wrong."""

_PROBLEMS: tuple[RingfenceError, ...] = (
    RequestError("The query can't be read: UTF-8 and up to 20 parameters were expected."),
    InvalidJsonError("The body is not JSON at line 1, column 2: Expecting property name."),
    UnauthenticatedError(),
    InvalidTokenError("told to the log alone", None),
    ForbiddenError("operate", "This needs the scope operate, which this token lacks."),
    CrossSiteRequestError("Origin names another host than the one that is asked."),
    InvalidIdempotencyKeyError("Idempotency-Key is given 2 times."),
    InvalidRequestError([("/amount", "must be a whole number from 1 to 9007199254740991")]),
    RouteNotFoundError("There is nothing at /withdrawal."),
    UserNotFoundError(77),
    TaskNotFoundError("There is no task sieve_numbers."),
    RunNotFoundError("There is no run 99."),
    MovementNotFoundError(f"No movement carries the request id {REQUEST_ID}."),
    MethodNotAllowedError("GET", ["POST", "OPTIONS"]),
    NotAcceptableError("The answer would be application/json, which Accept leaves out."),
    _SHORT,
    BalanceLimitError(USER_ID, 9007199254740991, 1),
    IdempotencyConflictError(KEY),
    TaskRefusedError(f"Task {TASK} is running already."),
    BodyTooLargeError(BODY_BYTES_MAX),
    UnsupportedMediaTypeError("The body has no Content-Type; application/json was expected."),
    RequestIdReusedError(REQUEST_ID),
    IdempotencyKeyReusedError(KEY),
    HeadTooLargeError(f"The headers may have up to {HEAD_BYTES_MAX} bytes in up to {HEAD_LINES_MAX} lines."),
    HostNotAllowedError("elsewhere.example"),
    RateLimitedError({}, 2),
    UnexpectedError(f"urn:uuid:{REQUEST_ID}"),
    DatabaseUnavailableError("told to the log alone"),
    OverloadedError(100_000),
    AccountBusyError([USER_ID]),
    OutcomeUnknownError(REQUEST_ID),
    NotReadyError(["the database does not answer"]),
)
PROBLEMS: Mapping[str, RingfenceError] = {error.code: error for error in _PROBLEMS}
"""By code."""


def of_answer(kind: Any) -> Any:
    """The example of a type of answers, as JSON reads it."""
    return json.decode(json.encode(ANSWERS[kind]))


def of_problem(code: str, *, has_body: bool) -> dict[str, Any]:
    """The example of a problem; has_body: whether the operation takes one."""
    error = PROBLEMS[code]
    if code == PARAMETER_FAULT.code and not has_body:
        error = PARAMETER_FAULT
    return problem.members(error)
