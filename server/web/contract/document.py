"""The OpenAPI 3.1 document, from the operations and the types that they name.

Pure: the same code makes the same document.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from http import HTTPStatus
from typing import Any

import msgspec

from server import __version__
from server.access.refusals import (
    CrossSiteRequestError,
    ForbiddenError,
    InvalidTokenError,
    UnauthenticatedError,
)
from server.errors import (
    BodyTooLargeError,
    DatabaseUnavailableError,
    HeadTooLargeError,
    NotAcceptableError,
    RequestError,
    RingfenceError,
    UnexpectedError,
    UnsupportedMediaTypeError,
)
from server.web import problem
from server.web.contract.operations import OPERATIONS, Errors, Operation
from server.web.contract.problems import MEMBERS
from server.web.gate import COOKIE
from server.web.idempotency import KEY_CHARACTERS_MAX, NAME, REPLAYED
from server.web.scopes import Need, need_of

_REFERENCE = "#/components/schemas/{name}"
_ALWAYS: Errors = (
    RequestError,
    NotAcceptableError,
    BodyTooLargeError,
    UnsupportedMediaTypeError,
    HeadTooLargeError,
    UnexpectedError,
)
_KEY = {
    "name": NAME,
    "in": "header",
    "required": False,
    "description": "A repeat with the same key gets the first answer, and has no second effect. "
    f"Up to {KEY_CHARACTERS_MAX} visible ASCII characters, bare or as a quoted string.",
    "schema": {"type": "string"},
}


_SIGNED: Errors = (UnauthenticatedError, InvalidTokenError, ForbiddenError, DatabaseUnavailableError)
_SECURITY_SCHEMES = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "A token of `ringfence token create`, with the scope that the operation names.",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": COOKIE,
        "description": "The cookie of `POST /session`. Requests that change something need "
        "`X-Ringfence-Page: 1` besides.",
    },
}


@cache
def openapi_document(*, is_token_required: bool = False) -> bytes:
    """The document as JSON, of an instance that needs tokens or of one that takes them."""
    return msgspec.json.encode(make_document(OPERATIONS, is_token_required=is_token_required))


def make_document(operations: Sequence[Operation], *, is_token_required: bool = False) -> dict[str, Any]:
    """The document as an object."""
    types = [kind for one in operations for kind in (*_kinds(one.answer), *_kinds(one.body))]
    schemas, components = msgspec.json.schema_components(types, ref_template=_REFERENCE)
    found = dict(zip(map(repr, types), schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for one in operations:
        described = _operation(one, found)
        need = need_of(one.method.upper(), one.path)
        if need is not None:
            described["security"] = _security(need, is_required=is_token_required)
        paths.setdefault(one.path, {})[one.method] = described
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Ringfence",
            "version": __version__,
            "description": "Accounts that never go negative, and a cron service without a leader. "
            "Amounts and balances are whole minor units; moments are RFC 3339 in UTC; "
            "errors are problem details (RFC 9457) with a stable `code`.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "tags": [
            {"name": "money", "description": "Accounts and their ledger."},
            {"name": "tasks", "description": "Background tasks, their runs, and the nodes that run them."},
            {"name": "session", "description": "Signing in from a browser."},
            {"name": "service", "description": "The service itself."},
        ],
        "paths": paths,
        "components": {
            "schemas": {**components, **_problems(operations)},
            "securitySchemes": _SECURITY_SCHEMES,
        },
    }


def _operation(one: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    parameters = [
        *(_parameter("path", name, schema, required=True) for name, schema in (one.places or {}).items()),
        *(_parameter("query", query.name, query.schema, query.description) for query in one.queries),
        *([_KEY] if one.is_keyed else []),
    ]
    described: dict[str, Any] = {
        "operationId": _operation_id(one),
        "tags": [one.tag],
        "summary": one.summary,
        **({"description": one.description} if one.description else {}),
        **({"parameters": parameters} if parameters else {}),
    }
    if one.body is not None:
        content: dict[str, Any] = {"schema": schemas[repr(one.body)]}
        if one.example is not None:
            content["example"] = one.example
        described["requestBody"] = {
            "required": one.is_body_required,
            "content": {"application/json": content},
        }
    schema = {"type": "string"}
    if one.answer is not None:
        schema = _any_of([schemas[repr(kind)] for kind in _kinds(one.answer)])
    success: dict[str, Any] = {"description": HTTPStatus(one.status).phrase}
    if one.status != HTTPStatus.NO_CONTENT:
        success["content"] = {
            one.media_type: {"schema": schema},
            **{kind: {"schema": {"type": "string"}} for kind in one.other_media_types},
        }
    if one.is_keyed:
        success["headers"] = {
            REPLAYED: {"description": "`true` if the key had its answer before.", "schema": {"const": "true"}}
        }
    unchanged = {"304": {"description": "What If-None-Match names has not changed."}}
    described["responses"] = {
        str(one.status): success,
        **(unchanged if one.method == "get" and one.answer is not None else {}),
        **_refusals(_errors(one)),
    }
    return described


def _errors(one: Operation) -> Errors:
    """What an operation may answer: its own errors, those of who may ask, and those of any request."""
    signed = () if need_of(one.method.upper(), one.path) is None else _SIGNED
    return (*one.errors, *signed, *(() if one.method == "get" else (CrossSiteRequestError,)), *_ALWAYS)


def _security(need: Need, *, is_required: bool) -> list[dict[str, list[str]]]:
    """The ways to authenticate, with the scope; nothing at all is one of them where no token is needed."""
    ways: list[dict[str, list[str]]] = [{"bearer": [need.scope]}, {"session": [need.scope]}]
    return ways if is_required else [{}, *ways]


def _refusals(errors: Iterable[type[RingfenceError]]) -> dict[str, Any]:
    """One answer for each status, which may be one of several problems."""
    by_status: dict[int, dict[str, type[RingfenceError]]] = {}
    for error in errors:
        by_status.setdefault(error.status, {})[error.code] = error
    return {str(status): _refusal(kinds) for status, kinds in sorted(by_status.items())}


def _refusal(kinds: Mapping[str, type[RingfenceError]]) -> dict[str, Any]:
    codes = sorted(kinds)
    schema = _any_of([{"$ref": _REFERENCE.format(name=_name(code))} for code in codes])
    return {
        "description": "; ".join(f"`{code}`: {kinds[code].title}" for code in codes),
        "content": {problem.CONTENT_TYPE: {"schema": schema}},
    }


def _parameter(
    place: str, name: str, schema: Mapping[str, Any], description: str = "", *, required: bool = False
) -> dict[str, Any]:
    described = {"description": description} if description else {}
    return {"name": name, "in": place, "required": required, **described, "schema": dict(schema)}


def _kinds(answer: Any) -> tuple[Any, ...]:
    if answer is None:
        return ()
    return answer if isinstance(answer, tuple) else (answer,)


def _any_of(schemas: list[dict[str, Any]]) -> dict[str, Any]:
    return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}


def _problems(operations: Sequence[Operation]) -> dict[str, Any]:
    kinds: dict[str, type[RingfenceError]] = {
        error.code: error for one in operations for error in _errors(one)
    }
    return {_name(code): _problem(kinds[code]) for code in sorted(kinds)}


def _problem(error: type[RingfenceError]) -> dict[str, Any]:
    own = MEMBERS.get(error.code, {})
    return {
        "title": error.title,
        "type": "object",
        "properties": {
            "type": {"const": problem.TYPE_BASE + error.code},
            "title": {"const": error.title},
            "status": {"const": error.status},
            "detail": {"type": "string"},
            "code": {"const": error.code},
            **own,
        },
        "required": ["type", "title", "status", "detail", "code", *own],
        "additionalProperties": False,
    }


def _name(code: str) -> str:
    return "Problem" + "".join(word.capitalize() for word in code.split("_"))


def _operation_id(one: Operation) -> str:
    words = [word.strip("{}") for word in one.path.split("/") if word] or ["index"]
    return one.method + "".join(word[0].upper() + word[1:] for word in words)
