"""Who asks, and may they: judged on the head of each request, for handlers and lean path alike.

A token comes in `Authorization: Bearer rf_…`, or in the cookie of a page that signed in.
Where tokens are not required, whoever sends none may do everything, and a token that is
sent counts all the same.

Another site's page can make a browser send requests here, with the cookie if it may, and
from the same host without any. SameSite keeps the cookie at home; beyond that an unsafe
request that no bearer token vouches for must not say that it comes from elsewhere, and
one that is authenticated by the cookie needs a header that no form can send.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol
from urllib.parse import urlsplit

import structlog
from tornado.httputil import HTTPHeaders, parse_cookie

from server.access.keyring import Keyring
from server.access.refusals import (
    AccessError,
    CrossSiteRequestError,
    ForbiddenError,
    InvalidTokenError,
    UnauthenticatedError,
)
from server.access.refused import Refusal
from server.access.tokens import ANYBODY, Caller
from server.web.edge import client_of
from server.web.scopes import Need, need_of

COOKIE = "ringfence_session"
PAGE_HEADER = "X-Ringfence-Page"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_SAME_SITE = frozenset({"same-origin", "none"})  # none: a person typed it, and no page
log = structlog.get_logger(__name__)


class Sender(Protocol):
    """Where a request comes from; behind a trusted proxy, whom that one names."""

    remote_ip: str | None


class Gate:
    """Lets requests in.

    is_required: whether each needs a token. refused: who is told of those that were not let in,
        with what they asked for; see refused.py.
    """

    def __init__(
        self,
        keyring: Keyring,
        *,
        is_required: bool,
        refused: Callable[[Refusal, str], None] = lambda _refusal, _target: None,
    ) -> None:
        self.keyring = keyring
        self.is_required = is_required
        self._refused = refused

    def admit(self, method: str, route: str, headers: HTTPHeaders, sender: Sender) -> Caller:
        """Who asks for a route, if they may.

        Raises an AccessError, or DatabaseUnavailableError while the tokens are not known.
        """
        try:
            return self._admit(method, route, headers)
        except AccessError as error:
            self._tell(error, method, route, sender)
            raise

    def admit_plain(self, method: str, route: str, headers: HTTPHeaders, sender: Sender) -> Caller:
        """As admit(), of a head without cookies and without what browsers tell of a page.

        Where no token is needed and none is sent, nothing else is looked at: most requests
        of the money path are such.
        """
        if not self.is_required and "Authorization" not in headers:
            return ANYBODY
        return self.admit(method, route, headers, sender)

    @contextmanager
    def telling(self, method: str, route: str, sender: Sender) -> Iterator[None]:
        """Tells of what is refused within, after the request was let in by its head."""
        try:
            yield
        except AccessError as error:
            self._tell(error, method, route, sender)
            raise

    def _tell(self, error: AccessError, method: str, route: str, sender: Sender) -> None:
        """Tells log and record, with what the client is not told.

        Whoever sends no token and only wants to read is no news: a page that is about to
        sign in does so, and whatever looks whether the port answers.
        """
        need = need_of(method, route)
        if isinstance(error, UnauthenticatedError) and (need is None or need.scope == "read"):
            return
        facts = {"reason": error.reason, "token": error.token, "peer": sender.remote_ip, "route": route}
        if isinstance(error, InvalidTokenError):
            log.warning("a token was refused", **facts)
        else:
            log.warning("a request was refused", code=error.code, method=method, **facts)
        outcome = f"{error.code}: {error.reason}" if error.reason else error.code
        if error.token is not None and not error.is_token_proven:
            outcome += f", as {error.token}"
        token = error.token if error.is_token_proven else None
        self._refused(Refusal(outcome, token, client_of(sender.remote_ip or "")), f"{method} {route}")

    def _admit(self, method: str, route: str, headers: HTTPHeaders) -> Caller:
        need = need_of(method, route)
        authorization = headers.get("Authorization")
        bearer = None if authorization is None else _bearer_in(authorization)
        if bearer is not None:
            return ANYBODY if need is None else _allowed(self.keyring.holder(bearer), need)
        is_unsafe = method not in SAFE_METHODS
        if is_unsafe:
            check_origin(headers)
        if need is None:
            return ANYBODY
        session = session_in(headers)
        caller = None if session is None else self.signed_in(session)
        if caller is None:
            if self.is_required:
                raise UnauthenticatedError
            return ANYBODY
        if is_unsafe:
            check_page(headers)
        return _allowed(caller, need)

    def signed_in(self, session: str) -> Caller | None:
        """Who holds the token of a session's cookie.

        None for a stale one where none is needed. Raises InvalidTokenError where one is.
        """
        try:
            return self.keyring.holder(session)
        except InvalidTokenError:
            if self.is_required:
                raise
            return None


def check_origin(headers: HTTPHeaders) -> None:
    """Raises CrossSiteRequestError if the browser says that another site's page sends this."""
    fetch_site = headers.get("Sec-Fetch-Site")
    if fetch_site is not None and fetch_site.lower() not in _SAME_SITE:
        raise CrossSiteRequestError("The browser says that a page of another site sends this.")
    origin = headers.get("Origin")
    if origin is not None and _host_in(origin) != headers.get("Host", "").lower():
        raise CrossSiteRequestError("Origin names another host than the one that is asked.")


def check_page(headers: HTTPHeaders) -> None:
    """Raises CrossSiteRequestError unless the page's own script sends this."""
    if headers.get(PAGE_HEADER) != "1":
        raise CrossSiteRequestError(f"A session's request that changes something needs {PAGE_HEADER}: 1.")


def session_in(headers: HTTPHeaders) -> str | None:
    """What the session's cookie holds; None without one."""
    cookies = headers.get("Cookie")
    return None if cookies is None else parse_cookie(cookies).get(COOKIE) or None


def _host_in(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return None


def _bearer_in(authorization: str) -> str | None:
    """The token of the header; None for another way to authenticate, which is some proxy's."""
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _allowed(caller: Caller, need: Need) -> Caller:
    if not caller.may(need.scope):
        detail = f"This needs the scope {need.scope}, which this token lacks."
        raise ForbiddenError(need.scope, detail, caller.token)
    if caller.user_id is not None and not need.of_account:
        raise ForbiddenError(need.scope, f"This token is for account {caller.user_id} alone.", caller.token)
    return caller
