"""What is wrong about the form of a request, whatever it asks for: a part of the tree in server/errors.py."""

from typing import Any

from server.errors import RequestError


class UnsupportedMediaTypeError(RequestError):
    """The body is of a kind that this route does not take."""

    status = 415
    code = "unsupported_media_type"
    title = "Unsupported media type"


class NotAcceptableError(RequestError):
    """The client takes none of the kinds of answers that this route gives."""

    status = 406
    code = "not_acceptable"
    title = "Not acceptable"


class HeadTooLargeError(RequestError):
    """The head of the request is larger than any route takes."""

    status = 431
    code = "head_too_large"
    title = "The head of the request is too large"


class BodyTooLargeError(RequestError):
    """The body is larger than this route takes."""

    status = 413
    code = "body_too_large"
    title = "The body is too large"

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"The body may have up to {limit_bytes} bytes.")
        self.limit_bytes = limit_bytes

    def members(self) -> dict[str, Any]:
        return {"limitBytes": self.limit_bytes}


class RouteNotFoundError(RequestError):
    """There is nothing at this path."""

    status = 404
    code = "not_found"
    title = "Not found"


class MethodNotAllowedError(RequestError):
    """The path exists, and does not take this method."""

    status = 405
    code = "method_not_allowed"
    title = "Method not allowed"

    def __init__(self, method: str, allowed: list[str]) -> None:
        super().__init__(f"{method} is not allowed here; allowed: {', '.join(allowed)}.")
        self.allowed = allowed


class InvalidIdempotencyKeyError(RequestError):
    """The header Idempotency-Key is not one that is taken."""

    code = "invalid_idempotency_key"
    title = "The Idempotency-Key is not valid"
