"""What is refused on the head of a request alone, before any of its body is read.

Pure: headers in, an error or nothing out. Whoever serves a route asks here, so
that no rule stands twice.
"""

from tornado.httputil import HTTPHeaders

from server.errors import BodyTooLargeError, RequestError, UnsupportedMediaTypeError

BODY_BYTES_MAX = 64 * 1024
_LENGTH_DIGITS_MAX = 18


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
