"""How problems stand in the document: a schema for each code, and an answer for each status.

Pure.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from server.access.refusals import AccessError
from server.errors import DatabaseUnavailableError, RingfenceError
from server.web import problem
from server.web.contract import examples
from server.web.contract.problems import MEMBERS
from server.web.edge import RateLimitedError
from server.web.refusals import MethodNotAllowedError

REFERENCE = "#/components/schemas/{name}"
_ALLOW = {"description": "The methods that the path takes.", "schema": {"type": "string"}}
_RETRY_AFTER = {"description": "Seconds until a repeat makes sense.", "schema": {"type": "string"}}
_RATE = {"description": "What is left, and of what (IETF ratelimit-headers).", "schema": {"type": "string"}}
_CHALLENGE = {"description": "What a token needs (RFC 6750).", "schema": {"type": "string"}}


def name_of(code: str) -> str:
    """The name of a problem among the components."""
    return "Problem" + "".join(word.capitalize() for word in code.split("_"))


def schema_of(error: type[RingfenceError]) -> dict[str, Any]:
    """What its problem document looks like."""
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


def refusals(errors: Iterable[type[RingfenceError]], *, has_body: bool) -> dict[str, Any]:
    """One answer for each status, which may be one of several problems.

    has_body: whether the operation takes a body, which decides what its examples show.
    """
    by_status: dict[int, dict[str, type[RingfenceError]]] = {}
    for error in errors:
        by_status.setdefault(error.status, {})[error.code] = error
    return {str(status): refusal(kinds, has_body=has_body) for status, kinds in sorted(by_status.items())}


def refusal(kinds: Mapping[str, type[RingfenceError]], *, has_body: bool) -> dict[str, Any]:
    """The answer of one status, which is a problem of one of these codes."""
    codes = sorted(kinds)
    shown = {code: {"value": examples.of_problem(code, has_body=has_body)} for code in codes}
    headers: dict[str, Any] = {}
    if any(issubclass(kind, DatabaseUnavailableError) for kind in kinds.values()):
        headers["Retry-After"] = _RETRY_AFTER
    if any(issubclass(kind, MethodNotAllowedError) for kind in kinds.values()):
        headers["Allow"] = _ALLOW
    if any(issubclass(kind, RateLimitedError) for kind in kinds.values()):
        headers |= {"Retry-After": _RETRY_AFTER, "RateLimit": _RATE, "RateLimit-Policy": _RATE}
    if any(issubclass(kind, AccessError) for kind in kinds.values()):
        headers["WWW-Authenticate"] = _CHALLENGE
    return {
        "description": "; ".join(f"`{code}`: {kinds[code].title}" for code in codes),
        **({"headers": headers} if headers else {}),
        "content": {
            problem.CONTENT_TYPE: {
                "schema": any_of([{"$ref": REFERENCE.format(name=name_of(code))} for code in codes]),
                "examples": shown,
            }
        },
    }


def any_of(schemas: list[dict[str, Any]]) -> dict[str, Any]:
    """A schema that takes what any of these takes."""
    return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
