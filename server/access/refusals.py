"""The errors of who may do what: a part of the tree in server/errors.py."""

from collections.abc import Mapping
from typing import Any, ClassVar

from server.errors import RingfenceError


class AccessError(RingfenceError):
    """The request is not one that this caller may make.

    For log and record alone: reason, and the id of the token that was sent, None without one.
    """

    challenge: ClassVar[str | None] = None
    reason: str = ""
    token: str | None = None

    @property
    def is_token_proven(self) -> bool:
        """Whether whoever asks holds that token, and not only knows its public id."""
        return self.token is not None

    @property
    def headers(self) -> Mapping[str, str]:
        """What the answer carries: RFC 6750, 3."""
        return {} if self.challenge is None else {"WWW-Authenticate": self.challenge}


class UnauthenticatedError(AccessError):
    """Nobody says who asks, where that must be known."""

    status = 401
    code = "unauthenticated"
    title = "A token is needed"
    challenge = 'Bearer realm="ringfence"'

    def __init__(self) -> None:
        super().__init__("This needs a token: send it in the header Authorization, after `Bearer `.")


class InvalidTokenError(AccessError):
    """The token is none, or none any more. Whoever tries tokens learns nothing of those that were."""

    status = 401
    code = "invalid_token"
    title = "The token is not valid"
    challenge = 'Bearer realm="ringfence", error="invalid_token"'

    def __init__(self, reason: str, token: str | None) -> None:
        super().__init__("This token is not valid, or not any more.")
        self.reason = reason
        self.token = token

    @property
    def is_token_proven(self) -> bool:
        return self.reason in {"revoked", "expired"}


class ForbiddenError(AccessError):
    """The token does not allow this. scope: the one that it takes."""

    status = 403
    code = "forbidden"
    title = "The token does not allow this"

    def __init__(self, scope: str, detail: str, token: str | None = None) -> None:
        super().__init__(detail)
        self.scope = scope
        self.reason = detail
        self.token = token or None

    @property
    def headers(self) -> Mapping[str, str]:
        return {
            "WWW-Authenticate": f'Bearer realm="ringfence", error="insufficient_scope", scope="{self.scope}"'
        }

    def members(self) -> dict[str, Any]:
        return {"scope": self.scope}


class CrossSiteRequestError(AccessError):
    """A page of another site may have made a browser send this."""

    status = 403
    code = "cross_site_request"
    title = "The request may come from another site"
