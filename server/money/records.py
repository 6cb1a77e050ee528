"""What the bank answers, in the very shape in which it is sent as JSON (camelCase)."""

from typing import NamedTuple
from uuid import UUID

from msgspec import Struct


class Receipt(Struct, frozen=True, rename="camel"):
    """A movement that is committed.

    amount: what was asked for, 1 or more, in minor units.
    balance: the account's balance just after this movement.
    """

    user_id: int
    amount: int
    balance: int
    entry_id: int
    request_id: str


class Account(Struct, frozen=True, rename="camel"):
    """One account; balance in minor units."""

    id: int
    balance: int


class Opened(NamedTuple):
    """An account that a request opened; replayed: its key had opened it before."""

    account: Account
    replayed: bool


class PastBalance(Struct, frozen=True):
    """What an account's balance was; at: that moment, RFC 3339 in UTC."""

    id: int
    balance: int
    at: str


class Entry(Struct, frozen=True, rename="camel"):
    """One line of the ledger; amount is signed, created_at RFC 3339 in UTC."""

    id: int
    user_id: int
    amount: int
    balance_after: int
    request_id: UUID
    created_at: str


class EntryPage(Struct, frozen=True):
    """Entries, newest first; more: whether older ones follow."""

    entries: list[Entry]
    more: bool
