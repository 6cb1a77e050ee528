"""What is refused on the head of a request alone, before any of its body is read.

Pure: headers in, an error or nothing out. Whoever serves a route asks here, so
that no rule stands twice.
"""

import re
from collections.abc import Collection

from tornado.httputil import HTTPHeaders

from server.errors import RequestError
from server.web.limits import HEAD_BYTES_MAX, HEAD_LINES_MAX
from server.web.refusals import (
    BodyTooLargeError,
    HeadTooLargeError,
    NotAcceptableError,
    UnsupportedMediaTypeError,
)

BODY_BYTES_MAX = 64 * 1024
_LENGTH_DIGITS_MAX = 18
_WEIGHT = re.compile(r"[01](\.[0-9]{0,3})?")


def check_head(headers: HTTPHeaders) -> None:
    """Raises HeadTooLargeError for more than any client has a reason to send."""
    lines = [len(name) + len(value) + 4 for name, value in headers.get_all()]
    if sum(lines) > HEAD_BYTES_MAX or len(lines) > HEAD_LINES_MAX:
        raise HeadTooLargeError(
            f"The headers may have up to {HEAD_BYTES_MAX} bytes in up to {HEAD_LINES_MAX} lines."
        )


def check_accept(headers: HTTPHeaders, kinds: Collection[str]) -> None:
    """Raises NotAcceptableError when the client says that it takes none of these media types.

    Errors are problem documents whatever it takes, so that they can always be read.
    """
    accepted = headers.get("Accept")
    if accepted is None:
        return
    for entry in accepted.split(","):
        wanted, *parameters = (part.strip().lower() for part in entry.split(";"))
        if any(parameter.replace(" ", "").rstrip(".0") == "q=" for parameter in parameters):
            continue  # q=0: all but this
        if wanted in {"", "*/*"} or any(wanted in {kind, f"{kind.partition('/')[0]}/*"} for kind in kinds):
            return
    raise NotAcceptableError(f"The answer would be {' or '.join(kinds)}, which Accept leaves out.")


def prefers(kind: str, default: str, accepted: str) -> bool:
    """Whether an Accept names a media type, and not the default one with more weight, or before it.

    So whoever takes anything, as curl does, gets the default.
    """
    weights: dict[str, float] = {}
    for entry in accepted.split(","):
        name, *parameters = (part.strip().lower() for part in entry.split(";"))
        weight = next((text[2:] for text in parameters if text.startswith("q=")), "1")
        weights.setdefault(name, float(weight) if _WEIGHT.fullmatch(weight) else 1.0)
    named = list(weights)
    if not weights.get(kind):
        return False
    if weights[kind] != weights.get(default, 0.0):
        return weights[kind] > weights.get(default, 0.0)
    return named.index(kind) < named.index(default)


def body_bytes_announced(headers: HTTPHeaders) -> int:
    """How long the body says it is; 0 without a body or for one in chunks.

    Raises RequestError for a length that is no number.
    """
    text = headers.get("Content-Length")
    if text is None:
        return 0
    first, *others = (part.strip() for part in text.split(","))
    # The same length twice is what proxies make of one; Tornado refuses different ones.
    if any(other != first for other in others) or not (first.isascii() and first.isdigit()):
        raise RequestError("Content-Length is not a number of bytes.")
    return int(first) if len(first) <= _LENGTH_DIGITS_MAX else 10**_LENGTH_DIGITS_MAX


def check_length(headers: HTTPHeaders, limit_bytes: int = BODY_BYTES_MAX) -> None:
    """Raises BodyTooLargeError when more is announced than the route takes."""
    if body_bytes_announced(headers) > limit_bytes:
        raise BodyTooLargeError(limit_bytes)


def has_body(headers: HTTPHeaders) -> bool:
    """Whether a body follows, as far as the head tells."""
    return "Transfer-Encoding" in headers or body_bytes_announced(headers) > 0


def check_media_type(headers: HTTPHeaders) -> None:
    """Raises UnsupportedMediaTypeError when a body follows that is not said to be plain JSON."""
    if not has_body(headers):
        return
    content_type = headers.get("Content-Type")
    if content_type is None:
        raise UnsupportedMediaTypeError("The body has no Content-Type; application/json was expected.")
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise UnsupportedMediaTypeError(
            f"The body is of type {content_type[:100]}; application/json was expected."
        )
    if headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise UnsupportedMediaTypeError("The body is compressed; send it as it is.")
