"""Who may do what: the one table of routes and the scope that each needs.

A new route needs its line here: a test fails without it, and until then it is for admin.
"""

from collections.abc import Mapping
from typing import NamedTuple

from server.access.tokens import Scope

PUBLIC = None
"""Open to everybody, whatever is sent."""


class Need(NamedTuple):
    """scope: what a token must have. of_account: whether one that is limited to an account may
    ask at all; the handler then compares the account."""

    scope: Scope
    of_account: bool = False


_MONEY = Need("money", of_account=True)
_ACCOUNT = Need("read", of_account=True)
_READ = Need("read")
_OPERATE = Need("operate")
_ADMIN = Need("admin")

NEEDS: Mapping[tuple[str, str], Need | None] = {
    ("POST", "/withdraw"): _MONEY,
    ("POST", "/deposit"): _MONEY,
    ("POST", "/withdrawals"): _MONEY,
    ("POST", "/users"): Need("money"),
    ("GET", "/users/{userId}"): _ACCOUNT,
    ("GET", "/users/{userId}/entries"): _ACCOUNT,
    ("GET", "/requests/{requestId}"): _ACCOUNT,
    ("GET", "/ledger/check"): _READ,
    ("GET", "/money/pulse"): _READ,
    ("GET", "/tasks"): _READ,
    ("GET", "/tasks/{name}"): _READ,
    ("GET", "/tasks/{name}/placement"): _READ,
    ("POST", "/tasks/{name}/run"): _OPERATE,
    ("POST", "/tasks/{name}/pause"): _OPERATE,
    ("POST", "/tasks/{name}/resume"): _OPERATE,
    ("GET", "/runs"): _READ,
    ("GET", "/runs/{runId}"): _READ,
    ("POST", "/runs/{runId}/cancel"): _OPERATE,
    ("GET", "/nodes"): _READ,
    ("GET", "/events"): _READ,
    ("GET", "/metrics"): _READ,
    ("GET", "/audit"): _ADMIN,
    ("GET", "/log-level"): _READ,
    ("PUT", "/log-level"): _OPERATE,
    ("GET", "/healthz"): PUBLIC,
    ("GET", "/readyz"): PUBLIC,
    ("GET", "/openapi.json"): PUBLIC,
    ("GET", "/docs"): PUBLIC,
    ("GET", "/docs/start.js"): PUBLIC,
    ("GET", "/docs/swagger-ui.css"): PUBLIC,
    ("GET", "/docs/swagger-ui-bundle.js"): PUBLIC,
    ("GET", "/"): PUBLIC,
    ("GET", "/static/{version}/{file}"): PUBLIC,
    # These look at the token themselves: what they are about is whether there is one.
    ("GET", "/session"): PUBLIC,
    ("POST", "/session"): PUBLIC,
    ("DELETE", "/session"): PUBLIC,
}


def need_of(method: str, route: str) -> Need | None:
    """What a method of a route needs; None when it is open to everybody."""
    asked = "GET" if method == "HEAD" else method
    if asked == "OPTIONS":
        return PUBLIC  # it only says which methods there are
    return NEEDS.get((asked, route), _ADMIN)
