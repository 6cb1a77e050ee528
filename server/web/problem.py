"""Problem documents (RFC 9457): how every error of the API looks.

One shape for handlers and for any leaner path beside them: `type`, `title`,
`status`, `detail` and `code`, then the members of the error itself. `code` and
`type` are stable; `title` and `detail` are for people. What went wrong inside
never leaves the process: an unexpected error is a bare 500 whose `instance`
stands in the log beside the traceback.
"""

import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from tornado.web import HTTPError

from server.access.refusals import AccessError
from server.errors import DatabaseUnavailableError, RequestError, RingfenceError, UnexpectedError
from server.web.edge import RateLimitedError
from server.web.refusals import MethodNotAllowedError

CONTENT_TYPE = "application/problem+json"
TYPE_BASE = "urn:ringfence:problem:"
"""Names the kinds of problems. An identifier and no address: nothing has to be served there."""


def is_foreseen(error: BaseException) -> bool:
    """Whether an error is an answer by itself, and no defect to be logged with its traceback."""
    if isinstance(error, HTTPError):
        return error.status_code < 500
    return isinstance(error, RingfenceError) and (error.status != 500 or isinstance(error, UnexpectedError))


def members(error: RingfenceError) -> dict[str, Any]:
    """The members of an error's problem document."""
    return {
        "type": TYPE_BASE + error.code,
        "title": error.title,
        "status": error.status,
        "detail": _public_detail(error),
        "code": error.code,
        **error.members(),
    }


def document(error: RingfenceError) -> bytes:
    """The problem document of an error, encoded."""
    return msgspec.json.encode(members(error))


def headers(error: RingfenceError) -> Mapping[str, str]:
    """What the answer to an error carries beside its Content-Type."""
    if isinstance(error, DatabaseUnavailableError):
        return {"Retry-After": str(math.ceil(error.retry_after_seconds))}
    if isinstance(error, MethodNotAllowedError):
        return {"Allow": ", ".join(error.allowed)}
    if isinstance(error, AccessError | RateLimitedError):
        return error.headers
    return {}


def from_tornado(error: HTTPError, method: str, allowed: list[str]) -> RingfenceError:
    """Our error for one that Tornado raised by itself, before a handler had its say."""
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        return MethodNotAllowedError(method, allowed)
    return RequestError("The request can't be understood.")


def _public_detail(error: RingfenceError) -> str:
    if isinstance(error, DatabaseUnavailableError) and error.code == DatabaseUnavailableError.code:
        # Its text tells where the database is and what the driver said.
        return "The database can't be reached, or did not answer in time. Try again."
    return str(error)
