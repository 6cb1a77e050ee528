"""Tokens for tests: made as `ringfence token create` makes them."""

from server.access import administration
from server.access.administration import CreatedToken, Wanted


def make(database, *scopes: str, **how) -> CreatedToken:
    """A token with these scopes. how: name, user_id, lifetime_seconds."""
    return administration.create(database.owner_url, Wanted(scopes=scopes, **how))


def bearer(token: str) -> dict[str, str]:
    """The header that sends it."""
    return {"Authorization": f"Bearer {token}"}
