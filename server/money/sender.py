"""What the batcher needs from whoever talks to the database."""

from collections.abc import Sequence
from typing import Protocol

from server.money.postings import Listing, Posted, Posting


class Sender(Protocol):
    """One connection, one call at a time; see poster.py. Calls raise psycopg.Error."""

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection, as far as is known."""

    async def connect(self) -> None:
        """Makes one. Nothing is sent before, so what happens meanwhile is no doubt about anybody."""

    async def post_one(self, posting: Posting, *, seconds: float) -> Posted:
        """A lone movement without a key."""

    async def post(self, postings: Sequence[Posting], *, skip_locked: bool, seconds: float) -> list[Posted]:
        """A batch of movements."""

    async def post_list(self, listing: Listing, *, skip_locked: bool, seconds: float) -> list[Posted]:
        """One client's list."""

    async def reset(self) -> None:
        """Forgets the connection."""
