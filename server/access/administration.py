"""Making, listing and revoking tokens: for who runs the service, straight on the database.

As the owner of the tables: the service's own role may not. Each call blocks, on a
connection of its own.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg
from msgspec import Struct

from server.access.tokens import digest_of, make_token
from server.errors import DatabaseUnavailableError, RingfenceError, UserNotFoundError
from server.postgres.faults import is_transient
from server.postgres.profile import Profile
from server.postgres.sessions import TimedConnection
from server.postgres.statements import load

LIMITS = {"statement_timeout": "10s", "lock_timeout": "5s"}
_STATEMENTS = load("server.access", "tokens.sql")


class TokenError(RingfenceError):
    """A token can't be made or revoked."""

    code = "token_refused"


@dataclass(frozen=True)
class Wanted:
    """A token to be made. lifetime_seconds: None for one that never expires."""

    scopes: Collection[str]
    name: str = ""
    user_id: int | None = None
    lifetime_seconds: float | None = None


class CreatedToken(Struct, frozen=True, rename="camel"):
    """What is shown of a new token, this once."""

    id: str
    token: str
    name: str
    scopes: list[str]
    user_id: int | None
    created_at: str
    expires_at: str | None


class ListedToken(Struct, frozen=True, rename="camel"):
    """What is shown of a token later. state: valid, expired or revoked."""

    id: str
    name: str
    scopes: list[str]
    user_id: int | None
    state: str
    created_at: str
    expires_at: str | None
    revoked_at: str | None
    last_used_at: str | None


def create(url: str, wanted: Wanted, caller: str | None = None) -> CreatedToken:
    """Makes a token. Raises TokenError, UserNotFoundError, DatabaseUnavailableError.

    caller: for the record, see local_user.py; None names the role of the URL.
    """
    made = make_token()
    params = {
        "id": made.id,
        "name": wanted.name,
        "digest": digest_of(made.text),
        "scopes": sorted(set(wanted.scopes)),
        "user_id": wanted.user_id,
        "lifetime_seconds": wanted.lifetime_seconds,
        "caller": caller,
    }
    with _connected(url) as connection:
        row: Any = connection.execute(_STATEMENTS["create"], params).fetchone()
    if row.outcome == "no_such_user":
        raise UserNotFoundError(wanted.user_id or 0)
    if row.outcome == "too_many":
        raise TokenError("A thousand tokens are in force; revoke some first.")
    return CreatedToken(
        id=made.id,
        token=made.text,
        name=wanted.name,
        scopes=sorted(set(wanted.scopes)),
        user_id=wanted.user_id,
        created_at=shown(row.created_at) or "",
        expires_at=shown(row.expires_at),
    )


def revoke(url: str, token_id: str, caller: str | None = None) -> str:
    """Revokes a token; returns `revoked` or `already`. caller: as create() takes it.

    Raises TokenError, DatabaseUnavailableError.
    """
    params = {"id": token_id, "caller": caller}
    with _connected(url) as connection:
        row: Any = connection.execute(_STATEMENTS["revoke"], params).fetchone()
    if row.outcome == "unknown":
        raise TokenError(f"There is no token {token_id}.")
    return str(row.outcome)


def listed(url: str) -> list[ListedToken]:
    """All tokens, the newest first. Raises DatabaseUnavailableError."""
    with _connected(url) as connection:
        return [ListedToken(*row) for row in connection.execute(_STATEMENTS["list"]).fetchall()]


def exist(url: str) -> bool:
    """Whether there is any token that was not revoked. Raises DatabaseUnavailableError."""
    with _connected(url) as connection:
        known: Any = connection.execute(_STATEMENTS["has_table"]).fetchone()
        if not known[0]:
            return False
        found: Any = connection.execute(_STATEMENTS["any"]).fetchone()
        return bool(found[0])


@contextmanager
def _connected(url: str) -> Iterator[TimedConnection]:
    try:
        with TimedConnection.open(Profile(url, "ringfence token", settings=LIMITS)) as connection:
            yield connection
    except psycopg.errors.InsufficientPrivilege:
        raise TokenError(
            "This role may not make or revoke tokens: name the owner of the tables in database.owner_url."
        ) from None
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedFunction):
        raise TokenError("The database's schema is older than this: run `ringfence migrate`.") from None
    except psycopg.Error as error:
        if not is_transient(error):
            raise
        raise DatabaseUnavailableError(f"The database can't be reached: {str(error).strip()}") from None


def shown(moment: datetime | None) -> str | None:
    """A moment as `list` shows it. Behind a pooler the driver reads it in the server's own zone."""
    return None if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
