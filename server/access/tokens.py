"""What a token is, and what its holder may do.

Form    rf_<id>_<secret>: the id is public and names the token in lists, logs and the
        audit record; the secret has 256 random bits. Only the SHA-256 of the whole is
        kept, so that neither the database nor its backups can be used to sign in. A slow
        hash would guard guessable secrets; this one can't be guessed.

Pure but for the randomness of a new token.
"""

import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal, get_args

from server.access.refusals import ForbiddenError

Scope = Literal["money", "read", "operate", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
SCOPES_OF_ONE_ACCOUNT: frozenset[Scope] = frozenset({"money", "read"})
_TOKEN = re.compile(r"rf_([0-9a-f]{12})_[A-Za-z0-9_-]{43}")
_ID = re.compile(r"(?:rf_)?([0-9a-f]{12})")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. token: the public id; '' for somebody without a token where none is needed.

    user_id: the one account that may be asked for; None for all. expires_at: as it is
    shown, None for never.
    """

    token: str
    name: str
    scopes: frozenset[str]
    user_id: int | None = None
    expires_at: str | None = None

    def may(self, scope: Scope) -> bool:
        """Whether the scope is among the caller's own, or implied by admin."""
        return scope in self.scopes or "admin" in self.scopes

    def check_account(self, user_id: int, scope: Scope) -> None:
        """Raises ForbiddenError if the caller is limited to another account."""
        if self.user_id is not None and self.user_id != user_id:
            raise ForbiddenError(scope, f"This token is for account {self.user_id} alone.", self.token)


ANYBODY = Caller("", "anonymous", frozenset(SCOPES))
"""Whoever asks where no token is needed."""


@dataclass(frozen=True)
class NewToken:
    """A token just made: the only place where its secret ever is."""

    id: str
    text: str


def make_token() -> NewToken:
    """A token that nobody had before."""
    token_id = secrets.token_hex(6)
    return NewToken(token_id, f"rf_{token_id}_{secrets.token_urlsafe(32)}")


def id_in(token: str) -> str | None:
    """The public id inside a token; None for a text that is no token."""
    found = _TOKEN.fullmatch(token)
    return None if found is None else found[1]


def named_id(text: str) -> str | None:
    """The id that a person means: bare, or with rf_ before it as in a token's beginning."""
    found = _ID.fullmatch(text)
    return None if found is None else found[1]


def digest_of(token: str) -> bytes:
    """What is kept of a token."""
    return sha256(token.encode()).digest()


def fault_of_scopes(scopes: Collection[str], user_id: int | None) -> str | None:
    """What is wrong with the scopes of a token to be made; None when nothing is."""
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown or not scopes:
        return f"expected some of {', '.join(SCOPES)}" + (f" (got {', '.join(unknown)})" if unknown else "")
    if user_id is not None and not SCOPES_OF_ONE_ACCOUNT.issuperset(scopes):
        return "a token of one account may have the scopes money and read alone"
    return None
