"""Signing in with a token from a browser: GET, POST and DELETE /session.

The cookie holds the token itself. So any instance takes it without a table of sessions,
and it ends with the token: expired or revoked. HttpOnly keeps it from scripts, SameSite
from other sites' pages, and Max-Age from a browser that is left open; a value derived
from what the database keeps could be forged by whoever reads a backup.
"""

from contextlib import suppress
from typing import Any

from msgspec import Struct

from server.access.refusals import AccessError
from server.access.tokens import Caller
from server.money.json_objects import Rule, kind_of, read_object
from server.web.gate import COOKIE, check_page, session_in
from server.web.handlers import JsonHandler
from server.web.routes import Route

SESSION_SECONDS_MAX = 12 * 3600


class SessionBody(Struct, frozen=True, forbid_unknown_fields=True):
    """What signing in takes."""

    token: str


class SessionState(Struct, frozen=True, rename="camel"):
    """Whether requests need a token, and who is signed in.

    user_id: the one account that the token is for; null for all. expires_at: the token's
    end; null for never.
    """

    required: bool
    signed_in: bool
    name: str | None
    scopes: list[str]
    user_id: int | None
    expires_at: str | None


class SessionHandler(JsonHandler):
    """GET /session: 200 {"required", "signedIn", "name", "scopes", "userId", "expiresAt"}.

    POST    {"token": "rf_..."}: the same object, and the cookie; 401 invalid_token.
    DELETE  204, and the cookie is gone. With a cookie it needs X-Ringfence-Page: 1.
    Errors  403 cross_site_request   503 database_unavailable: the tokens are not known yet
    """

    def set_default_headers(self) -> None:
        super().set_default_headers()
        self.set_header("Cache-Control", "no-store")

    def get(self) -> None:
        session = session_in(self.request.headers)
        caller = None
        if session is not None:
            with suppress(AccessError):  # a stale cookie is the same as none: the page asks for a token
                caller = self.services.gate.keyring.holder(session)
        self.answer(self._state(caller))

    def post(self) -> None:
        token = _token_in(self.body())
        gate = self.services.gate
        with gate.telling("POST", self.route, self.request):
            caller = gate.keyring.holder(token)
        self.set_cookie(COOKIE, token, max_age=SESSION_SECONDS_MAX, **self._attributes())
        self.answer(self._state(caller))

    def delete(self) -> None:
        if session_in(self.request.headers) is not None:
            check_page(self.request.headers)
        self.clear_cookie(COOKIE, **self._attributes())
        self.set_status(204)
        self.clear_header("Content-Type")
        self.finish()

    def _attributes(self) -> dict[str, Any]:
        is_secure = self.request.protocol == "https"
        return {"path": "/", "httponly": True, "samesite": "Strict", "secure": is_secure}

    def _state(self, caller: Caller | None) -> SessionState:
        return SessionState(
            required=self.services.gate.is_required,
            signed_in=caller is not None,
            name=None if caller is None else caller.name or None,
            scopes=[] if caller is None else sorted(caller.scopes),
            user_id=None if caller is None else caller.user_id,
            expires_at=None if caller is None else caller.expires_at,
        )


def _token_in(body: bytes) -> str:
    """Raises InvalidJsonError (400) or InvalidRequestError (422)."""
    text: str = read_object(body, {"token": Rule(_text_fault)})["token"]
    return text


def _text_fault(value: object) -> str | None:
    return None if isinstance(value, str) else f"must be a string, and was {kind_of(value)}"


def routes() -> tuple[Route, ...]:
    """The routes of this module."""
    return (Route("/session", SessionHandler),)
