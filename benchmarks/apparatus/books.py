"""Whose money moved: accounts opened for one measurement each, and audited after it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.apparatus.postgres import Database
from server.postgres.statements import load

STATEMENTS = load("benchmarks.apparatus", "books.sql")


@dataclass(frozen=True)
class State:
    """One account: balance, sum of its entries, entries that took money out."""

    balance: int
    entries_sum: int
    taken: int


class Books:
    """The accounts of one database."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def open_account(self, balance: int) -> int:
        """A fresh account; its id."""
        return int(self._one("open_account", {"balance": balance})[0])

    def open_accounts(self, count: int, balance: int) -> list[int]:
        """Many accounts with the same balance, ready for use; their ids."""
        with self.database.connect() as connection:
            rows = connection.execute(
                STATEMENTS["open_accounts"], {"count": count, "balance": balance}
            ).fetchall()
            connection.execute(STATEMENTS["settle"])
        return sorted(int(str(row[0])) for row in rows)

    def state(self, user_id: int) -> State:
        """One account as it is now."""
        return State(*self._one("account", {"user_id": user_id}))

    def taken(self) -> int:
        """Withdrawals in the ledger, of all accounts."""
        return int(self._one("taken", {})[0])

    def differing(self) -> int:
        """Accounts whose balance is not the sum of their entries; 0 unless something is broken."""
        return int(self._one("differing", {})[0])

    def has_post_batch(self) -> bool:
        """Whether this release's schema has post_batch()."""
        return bool(self._one("has_post_batch", {})[0])

    def checkpoint(self) -> None:
        """Writes away what others left, so that nobody is measured with it."""
        with self.database.connect() as connection:
            connection.execute(STATEMENTS["checkpoint"])

    def _one(self, statement: str, params: dict[str, Any]) -> tuple[Any, ...]:
        with self.database.connect() as connection:
            row = connection.execute(STATEMENTS[statement], params).fetchone()
        assert row is not None, f"{statement} returns one row"
        return row


def audit(books: Books, user_id: int, opening: int, succeeded: int, amount: int) -> list[str]:
    """What is wrong with an account after `succeeded` withdrawals were told; empty if nothing is."""
    state = books.state(user_id)
    expected = State(opening - succeeded * amount, opening - succeeded * amount, succeeded)
    checks: dict[str, Callable[[State], int]] = {
        "balance": lambda one: one.balance,
        "sum of entries": lambda one: one.entries_sum,
        "withdrawals in the ledger": lambda one: one.taken,
    }
    return [
        f"account {user_id}: {what} is {look(state):,}, expected {look(expected):,}"
        for what, look in checks.items()
        if look(state) != look(expected)
    ]
