"""Every operation of the interface, once: what it takes, what it answers, and which errors it may give.

A test compares this list with the routes, and every answer that any test gets is
validated against the document made of it: it can't drift.
"""

from server.access.refusals import InvalidTokenError
from server.cluster.placement import Placement
from server.cron.history import STATUSES, RunInFull, TaskState
from server.errors import (
    InvalidRequestError,
    OverloadedError,
    RunNotFoundError,
    TaskNotFoundError,
    TaskRefusedError,
    UserNotFoundError,
)
from server.money.amounts import MovementBody, OpeningBody
from server.money.ledger_check import LedgerReport
from server.money.movement_lists import ListBody
from server.money.pulse import Pulse
from server.money.records import Account, Entry, PastBalance, Receipt
from server.money.refusals import (
    BalanceLimitError,
    InsufficientFundsError,
    MovementNotFoundError,
    OutcomeUnknownError,
)
from server.web.audit import AuditPage
from server.web.cluster import DURATIONS_MAX, NodeList, RunsPage, TaskList
from server.web.contract import examples
from server.web.contract.answers import Alive, Index, Nothing, Ready, Results
from server.web.contract.operation import (
    BODY,
    CURSOR,
    DATABASE,
    EVENT,
    EVENT_ID,
    ID,
    KEYED,
    KIND_NAMES,
    MOMENT,
    MOVEMENT,
    NAME,
    NAMES,
    SENT,
    UUID,
    WORDS,
    Operation,
    Query,
)
from server.web.event_kinds import KINDS
from server.web.health import NotReadyError
from server.web.log_level import LogLevel, LogLevelBody
from server.web.money import EntriesPage
from server.web.page_files import HTML, MEDIA_TYPES
from server.web.parameters import cursor_after
from server.web.pulse import SECONDS, SECONDS_MAX
from server.web.refusals import RouteNotFoundError
from server.web.session import SessionBody, SessionState

LIMIT = Query("limit", {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}, "Of one page.", 10)
USER = {"userId": ID}
TASK = {"name": NAME}
RUN = {"runId": ID}

MONEY = (
    Operation(
        "post", "/withdraw", "money", "Take money out of an account", Receipt,
        body=MovementBody, is_keyed=True, errors=(*MOVEMENT, InsufficientFundsError),
        description="Succeeds only if the balance stays at zero or above; success means committed.",
        example={"userId": 1, "amount": 250},
    ),
    Operation(
        "post", "/deposit", "money", "Put money into an account", Receipt,
        body=MovementBody, is_keyed=True, errors=(*MOVEMENT, BalanceLimitError),
        example={"userId": 1, "amount": 250},
    ),
    Operation(
        "post", "/withdrawals", "money", "Up to 10,000 withdrawals in one transaction", Results,
        body=ListBody, is_keyed=True, errors=(*BODY, *KEYED, *SENT),
        description="One result for each, in order, with the status that it would have had alone; "
        "a refusal of one stops no other. A requestId may occur once.",
        example={"withdrawals": [{"userId": 1, "amount": 2}, {"userId": 1, "amount": 3}]},
    ),
    Operation(
        "post", "/users", "money", "Open an account", Account, status=201,
        body=OpeningBody, is_body_required=False, is_keyed=True,
        errors=(*BODY, *KEYED, *DATABASE, OutcomeUnknownError),
        description="Location names the account. Without a body it opens with 0.",
        example={"balance": 10000},
    ),
    Operation(
        "get", "/users/{userId}", "money", "An account's balance, now or at a moment", (Account, PastBalance),
        places=USER,
        queries=(Query("at", MOMENT, "The balance after the last movement up to then.", examples.MOMENT),),
        errors=(*DATABASE, InvalidRequestError, UserNotFoundError),
    ),
    Operation(
        "get", "/users/{userId}/entries", "money", "An account's ledger, newest first", EntriesPage,
        places=USER, queries=(LIMIT, Query("cursor", CURSOR, "The page to read.", cursor_after("entry", 2))),
        errors=(*DATABASE, InvalidRequestError, UserNotFoundError),
    ),
    Operation(
        "get", "/requests/{requestId}", "money", "What a request id has moved", Entry,
        places={"requestId": UUID}, errors=(*DATABASE, InvalidRequestError, MovementNotFoundError),
        description="404 is final once the request's deadline has passed.",
    ),
    Operation(
        "get", "/money/pulse", "money", "What the money path did in each of the last seconds", Pulse,
        queries=(
            Query("seconds", {"type": "integer", "minimum": 1, "maximum": SECONDS_MAX, "default": SECONDS},
                  "How many seconds back.", 60),
        ),
        errors=(*DATABASE, InvalidRequestError),
        description="Of all nodes together; figures to watch, empty after a crash of the database.",
    ),
    Operation(
        "get", "/ledger/check", "money", "Compare every balance with its entries", LedgerReport,
        errors=(*DATABASE, InvalidRequestError),
        description="Reads the whole ledger: a million entries take a second or so.",
    ),
)  # fmt: skip

TASKS = (
    Operation(
        "get", "/tasks", "tasks", "Every task, its owner, and what runs where", TaskList,
        queries=(
            Query(
                "durations", {"type": "integer", "minimum": 1, "maximum": DURATIONS_MAX},
                "Of how many of its last runs each task tells how long they took.", 20,
            ),
        ),
        errors=(*DATABASE, InvalidRequestError),
    ),
    Operation(
        "get", "/tasks/{name}", "tasks", "One task", TaskState,
        places=TASK, errors=(*DATABASE, InvalidRequestError, TaskNotFoundError),
    ),
    Operation(
        "get", "/tasks/{name}/placement", "tasks", "Why a task has the owner that it has", Placement,
        places=TASK, errors=(*DATABASE, InvalidRequestError, TaskNotFoundError),
        description="Its quota, how high each node ranks the task by hash, and who knows it.",
    ),
    Operation(
        "post", "/tasks/{name}/run", "tasks", "Make a task due now", TaskState, status=202,
        places=TASK, body=Nothing, is_body_required=False,
        errors=(*BODY, *DATABASE, TaskNotFoundError, TaskRefusedError),
    ),
    Operation(
        "post", "/tasks/{name}/pause", "tasks", "Start no more runs of a task", TaskState,
        places=TASK, body=Nothing, is_body_required=False, errors=(*BODY, *DATABASE, TaskNotFoundError),
    ),
    Operation(
        "post", "/tasks/{name}/resume", "tasks", "Let a task's schedule go on", TaskState,
        places=TASK, body=Nothing, is_body_required=False,
        errors=(*BODY, *DATABASE, TaskNotFoundError),
    ),
    Operation(
        "get", "/runs", "tasks", "The history of runs, newest first", RunsPage,
        queries=(
            Query("task", NAME, "Of this task.", examples.TASK),
            Query("node", NAME, "On this node.", "node-3"),
            Query("status", {"enum": list(STATUSES)}, "Of this status.", "succeeded"),
            Query("since", MOMENT, "Started then or later.", examples.MOMENT),
            Query("until", MOMENT, "Started before then.", "2026-02-28T08:00:00Z"),
            LIMIT,
            Query("cursor", CURSOR, "The page to read.", examples.RUNS_CURSOR),
        ),
        errors=(*DATABASE, InvalidRequestError),
    ),
    Operation(
        "get", "/runs/{runId}", "tasks", "One run, with what it printed", RunInFull,
        places=RUN, errors=(*DATABASE, InvalidRequestError, RunNotFoundError),
    ),
    Operation(
        "post", "/runs/{runId}/cancel", "tasks", "Stop a run", RunInFull, status=202,
        places=RUN, body=Nothing, is_body_required=False,
        errors=(*BODY, *DATABASE, RunNotFoundError, TaskRefusedError),
    ),
    Operation(
        "get", "/nodes", "tasks", "Every node, its lease, what it owns and runs", NodeList,
        errors=(*DATABASE, InvalidRequestError),
    ),
    Operation(
        "get", "/events", "tasks", "What happens to tasks and nodes, as server-sent events", None,
        media_type="text/event-stream", schema=EVENT,
        queries=(
            Query(
                "since", EVENT_ID, "What follows it comes first. The header Last-Event-ID counts more.", 118
            ),
            Query("task", NAMES, "Names of tasks, separated by commas.", "sieve_primes,estimate_pi"),
            Query(
                "kind", KIND_NAMES, f"Some of {', '.join(KINDS)}, separated by commas.", "lost,failed,dead"
            ),
            Query(
                "follow", {"type": "boolean", "default": True},
                "Whether what happens later is sent, too; false: what there is, and then the answer ends.",
                False,
            ),
        ),
        headers=(Query("Last-Event-ID", EVENT_ID, "As since, of a client that connects again.", 119),),
        errors=(*DATABASE, InvalidRequestError, OverloadedError),
    ),
)  # fmt: skip

SERVICE = (
    Operation("get", "/healthz", "service", "Whether the process answers at all", Alive),
    Operation(
        "get", "/readyz", "service", "Whether this node should get requests", Ready, errors=(NotReadyError,)
    ),
    Operation(
        "get", "/metrics", "service", "The figures of the node that answers, for Prometheus", None,
        media_type="text/plain", schema={"type": "string"},
    ),
    Operation("get", "/log-level", "service", "How much the node that answers writes to its log", LogLevel),
    Operation(
        "put", "/log-level", "service", "Change that, for a while or until the node ends", LogLevel,
        body=LogLevelBody, errors=BODY, example={"level": "debug", "seconds": 600},
        description="Of the node that answers: ask each on its own port, or use `ringfence log-level`.",
    ),
    Operation(
        "get", "/", "service", "What this is and where to go", Index, other_media_types=(HTML,),
        description="Browsers, which ask for text/html, get the page that shows the cluster live.",
    ),
    Operation(
        "get", "/static/{version}/{file}", "service", "What the page at / consists of", None,
        media_type=MEDIA_TYPES["js"], other_media_types=(MEDIA_TYPES["css"], MEDIA_TYPES["svg"]),
        schema={"type": "string"},
        places={"version": {"type": "string"}, "file": {"type": "string"}}, errors=(RouteNotFoundError,),
    ),
    Operation(
        "get", "/audit", "service", "What operators did, newest first", AuditPage,
        queries=(
            Query("who", WORDS, "Of this actor, by its id or its name.", "ann@db1"),
            Query("action", NAME, "Of this kind.", "task.pause"),
            Query("since", MOMENT, "Done then or later.", examples.MOMENT),
            Query("until", MOMENT, "Done before then.", "2026-02-28T08:00:00Z"),
            LIMIT,
            Query("cursor", CURSOR, "The page to read.", cursor_after("audit", 7)),
        ),
        errors=(*DATABASE, InvalidRequestError),
    ),
    Operation(
        "get", "/session", "session", "Whether requests need a token, and who is signed in", SessionState,
        errors=DATABASE,
    ),
    Operation(
        "post", "/session", "session", "Sign in with a token, for a browser", SessionState,
        body=SessionBody, errors=(*BODY, *DATABASE, InvalidTokenError),
        example={"token": "rf_0123456789"}, does_example_work=False,
        description="The cookie that it sets authenticates requests of the same origin. Those that "
        "change something need the header `X-Ringfence-Page: 1` besides.",
    ),
    Operation("delete", "/session", "session", "Sign out", None, status=204),
    Operation("get", "/openapi.json", "service", "This document", dict),
)  # fmt: skip

OPERATIONS = (*MONEY, *TASKS, *SERVICE)
"""All of them. Pages and other files for people are none."""
