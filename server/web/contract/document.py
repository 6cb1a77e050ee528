"""The OpenAPI 3.1 document, from the operations and the types that they name.

Pure: the same code makes the same document.
"""

from collections.abc import Mapping, Sequence
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
from server.errors import DatabaseUnavailableError, RequestError, RingfenceError, UnexpectedError
from server.web.contract import examples
from server.web.contract.operation import Errors, Operation, Query
from server.web.contract.operations import OPERATIONS
from server.web.contract.refusals import REFERENCE, any_of, name_of, refusal, refusals, schema_of
from server.web.edge import HostNotAllowedError, RateLimitedError
from server.web.gate import COOKIE
from server.web.idempotency import KEY_CHARACTERS_MAX, NAME, PATTERN, REPLAYED
from server.web.refusals import (
    BodyTooLargeError,
    HeadTooLargeError,
    MethodNotAllowedError,
    NotAcceptableError,
    RouteNotFoundError,
    UnsupportedMediaTypeError,
)
from server.web.scopes import Need, need_of

ALWAYS: Errors = (
    RequestError,
    NotAcceptableError,
    BodyTooLargeError,
    UnsupportedMediaTypeError,
    HeadTooLargeError,
    UnexpectedError,
    HostNotAllowedError,
    RateLimitedError,
)
"""What any request may get."""
_ANYWHERE: Errors = (RouteNotFoundError, MethodNotAllowedError)
"""What requests get that belong to no operation."""
_KEY = Query(
    NAME,
    {"type": "string", "pattern": PATTERN},
    "A repeat with the same key gets the first answer, and has no second effect. "
    f"Up to {KEY_CHARACTERS_MAX} visible ASCII characters, bare or as a quoted string.",
    examples.KEY,
)
_REPLAYED = {"description": "`true` if the key had its answer before.", "schema": {"const": "true"}}
_LOCATION = {"description": "The path of what was made.", "schema": {"type": "string"}}
_ETAG = {"description": "Names this content, for If-None-Match.", "schema": {"type": "string"}}
_ABOUT = (
    "Accounts that never go negative, and a cron service without a leader. Amounts and balances are "
    "whole minor units; moments are RFC 3339 in UTC; errors are problem details (RFC 9457) with a stable "
    "`code`. Whatever takes GET takes HEAD, and every path takes OPTIONS. What does not exist is a 404 "
    "`not_found`; a method that a path does not take is a 405 `method_not_allowed` with `Allow`. Answers "
    "to GET carry an `ETag`; who sends it back as `If-None-Match` gets a 304 without a body while "
    "nothing has changed."
)


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
    schemas, components = msgspec.json.schema_components(types, ref_template=REFERENCE)
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
            "description": _ABOUT,
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
            "responses": {
                name_of(error.code): refusal({error.code: error}, has_body=False) for error in _ANYWHERE
            },
        },
    }


def _operation(one: Operation, schemas: Mapping[str, Any]) -> dict[str, Any]:
    headers = (*one.headers, *([_KEY] if one.is_keyed else []))
    parameters = [
        *(_place(name, schema) for name, schema in (one.places or {}).items()),
        *(_parameter("query", query) for query in one.queries),
        *(_parameter("header", header) for header in headers),
    ]
    described: dict[str, Any] = {
        "operationId": _operation_id(one),
        "tags": [one.tag],
        "summary": one.summary,
        **({"description": one.description} if one.description else {}),
        **({"parameters": parameters} if parameters else {}),
    }
    if one.body is not None:
        content = {"schema": schemas[repr(one.body)], "example": {} if one.example is None else one.example}
        described["requestBody"] = {
            "required": one.is_body_required,
            "content": {"application/json": content},
        }
    unchanged = {"304": {"description": "What If-None-Match names has not changed."}}
    described["responses"] = {
        str(one.status): _success(one, schemas),
        **(unchanged if one.has_etag else {}),
        **refusals(_errors(one), has_body=one.body is not None),
    }
    return described


def _errors(one: Operation) -> Errors:
    """What an operation may answer: its own errors, those of who may ask, and those of any request."""
    signed = () if need_of(one.method.upper(), one.path) is None else _SIGNED
    return (*one.errors, *signed, *(() if one.method == "get" else (CrossSiteRequestError,)), *ALWAYS)


def _security(need: Need, *, is_required: bool) -> list[dict[str, list[str]]]:
    """The ways to authenticate, with the scope; nothing at all is one of them where no token is needed."""
    ways: list[dict[str, list[str]]] = [{"bearer": [need.scope]}, {"session": [need.scope]}]
    return ways if is_required else [{}, *ways]


def _success(one: Operation, schemas: Mapping[str, Any]) -> dict[str, Any]:
    content: dict[str, Any] = {"schema": one.schema, "example": examples.OTHERS.get(one.media_type)}
    if kinds := _kinds(one.answer):
        content = {
            "schema": any_of([schemas[repr(kind)] for kind in kinds]),
            "examples": {kind.__name__: {"value": examples.of_answer(kind)} for kind in kinds},
        }
    headers = {
        **({REPLAYED: _REPLAYED} if one.is_keyed else {}),
        **({"Location": _LOCATION} if one.status == HTTPStatus.CREATED else {}),
        **({"ETag": _ETAG} if one.has_etag else {}),
    }
    described = {
        "description": HTTPStatus(one.status).phrase,
        **({"headers": headers} if headers else {}),
    }
    if one.status == HTTPStatus.NO_CONTENT:
        return described
    return {
        **described,
        "content": {
            one.media_type: content,
            **{
                kind: {"schema": {"type": "string"}, "example": examples.OTHERS[kind]}
                for kind in one.other_media_types
            },
        },
    }


def _place(name: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "schema": dict(schema),
        "example": examples.PARAMETERS[name],
    }


def _parameter(place: str, one: Query) -> dict[str, Any]:
    return {
        "name": one.name,
        "in": place,
        "required": False,
        "description": one.description,
        "schema": dict(one.schema),
        "example": one.example,
    }


def _kinds(answer: Any) -> tuple[Any, ...]:
    if answer is None:
        return ()
    return answer if isinstance(answer, tuple) else (answer,)


def _problems(operations: Sequence[Operation]) -> dict[str, Any]:
    kinds: dict[str, type[RingfenceError]] = {
        error.code: error for one in operations for error in (*_errors(one), *_ANYWHERE)
    }
    return {name_of(code): schema_of(kinds[code]) for code in sorted(kinds)}


def _operation_id(one: Operation) -> str:
    words = [word.strip("{}") for word in one.path.split("/") if word] or ["index"]
    return one.method + "".join(word[0].upper() + word[1:] for word in words)
