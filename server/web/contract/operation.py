"""What is said of one operation of the interface, in which words: shapes of values, groups of errors."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from server.errors import (
    DatabaseUnavailableError,
    InvalidJsonError,
    InvalidRequestError,
    OverloadedError,
    RingfenceError,
    UserNotFoundError,
)
from server.money.amounts import INTEGER_MAX
from server.money.refusals import (
    AccountBusyError,
    IdempotencyConflictError,
    IdempotencyKeyReusedError,
    OutcomeUnknownError,
    RequestIdReusedError,
)
from server.web.event_kinds import KINDS
from server.web.refusals import InvalidIdempotencyKeyError

Errors = tuple[type[RingfenceError], ...]
Schema = Mapping[str, Any]

ID: Schema = {"type": "integer", "minimum": 1, "maximum": INTEGER_MAX}
NAME: Schema = {"type": "string", "pattern": "^[A-Za-z0-9_.:-]{1,100}$"}
WORDS: Schema = {"type": "string", "pattern": "^[^\\x00-\\x1f\\x7f]{1,100}$"}
MOMENT: Schema = {"type": "string", "format": "date-time"}
CURSOR: Schema = {
    "type": "string",
    "pattern": "^[A-Za-z0-9_-]{4,40}$",
    "description": "What `next` of the page before says, unchanged.",
}
NAMES: Schema = {"type": "string", "pattern": "^[A-Za-z0-9_.:-]{1,100}(,[A-Za-z0-9_.:-]{1,100})*$"}
KIND_NAMES: Schema = {"type": "string", "pattern": f"^({'|'.join(KINDS)})(,({'|'.join(KINDS)}))*$"}
EVENT_ID: Schema = {"type": "integer", "minimum": 0, "maximum": INTEGER_MAX}
_NUMBER: Schema = {"type": "string", "pattern": "^[0-9]{1,16}$"}
EVENT: Schema = {
    "type": "object",
    "description": "One event of the stream; docs/events.md says what each holds.",
    "properties": {
        "id": _NUMBER,
        "event": {"enum": [*KINDS, "reset"]},
        "data": {"type": "string", "contentMediaType": "application/json"},
        "retry": _NUMBER,
    },
    "required": ["event", "data"],
    "additionalProperties": False,
}
UUID: Schema = {"type": "string", "format": "uuid"}

DATABASE: Errors = (DatabaseUnavailableError,)
BODY: Errors = (InvalidJsonError, InvalidRequestError)
KEYED: Errors = (InvalidIdempotencyKeyError, IdempotencyKeyReusedError, IdempotencyConflictError)
SENT: Errors = (*DATABASE, OverloadedError, AccountBusyError, OutcomeUnknownError)
MOVEMENT: Errors = (*BODY, *KEYED, *SENT, UserNotFoundError, RequestIdReusedError)


@dataclass(frozen=True)
class Query:
    """A parameter of the query, or a header. example: a value that is right."""

    name: str
    schema: Schema
    description: str
    example: Any


@dataclass(frozen=True)
class Operation:
    """One method of one path.

    answer: the type of a successful answer's body, or a tuple of several; None for one
    that is no JSON, of `media_type`, whose `schema` is then given. other_media_types: of
    answers to those who ask for something else than JSON. places: the schemas of the path's
    places. body: the type of the request's body. is_keyed: takes an Idempotency-Key.
    example: a body that works; nothing means an empty object. does_example_work: false where
    it only shows the form.
    """

    method: str
    path: str
    tag: str
    summary: str
    answer: Any
    status: int = 200
    media_type: str = "application/json"
    other_media_types: tuple[str, ...] = ()
    schema: Schema | None = None
    body: Any = None
    is_body_required: bool = True
    is_keyed: bool = False
    places: Mapping[str, Schema] | None = None
    queries: tuple[Query, ...] = ()
    headers: tuple[Query, ...] = ()
    errors: Errors = ()
    description: str = ""
    example: Any = None
    does_example_work: bool = True

    @property
    def has_etag(self) -> bool:
        """Whether it can be asked conditionally: all but writes and the stream."""
        return self.method == "get" and self.media_type != "text/event-stream"
