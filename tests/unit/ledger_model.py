"""What the ledger's rules say, in plain Python: the oracle that the SQL is compared with.

Written from the rules and not from the functions: one request after the other, no
batches, no locks, no SQL. Imported by the tests that have a database.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID, uuid4

MOST = 2**53 - 1


@dataclass(frozen=True)
class Wanted:
    """One movement as a client wants it. amount: signed minor units."""

    user_id: int
    amount: int
    request_id: UUID = field(default_factory=uuid4)
    key: str | None = None
    client: str = ""

    @property
    def marks(self) -> set[object]:
        """What must not occur twice in one batch."""
        return {self.request_id} if self.key is None else {self.request_id, (self.client, self.key)}


class Outcome(NamedTuple):
    """What was decided. entry: the number of the line in the ledger; whose count is the reader's."""

    outcome: str
    balance: int | None
    entry: int | None
    replayed: bool
    request_id: UUID


class Line(NamedTuple):
    """One line of the ledger."""

    user_id: int
    amount: int
    balance_after: int
    request_id: UUID


@dataclass
class Ledger:
    """balances by user; lines in the order in which they were written.

    kept: (client, key) -> what was wanted with it, and what came of it.
    """

    balances: dict[int, int] = field(default_factory=dict)
    lines: list[Line] = field(default_factory=list)
    kept: dict[tuple[str, str], tuple[object, Sequence[Outcome]]] = field(default_factory=dict)

    def open(self, user_id: int, balance: int) -> None:
        """An account and its opening line."""
        self.balances[user_id] = balance
        self.lines.append(Line(user_id, balance, balance, uuid4()))

    def post(self, wanted: Wanted) -> Outcome:
        """A movement, with its key if it has one."""
        if wanted.key is None:
            return self._move(wanted)
        content = (wanted.user_id, wanted.amount)
        place = (wanted.client, wanted.key)
        if place in self.kept:
            first_content, (first,) = self.kept[place]
            if first_content == content:
                return first._replace(replayed=True)
            return Outcome("key_reused", None, None, False, wanted.request_id)
        found = self._move(wanted)
        self.kept[place] = (content, (found,))
        return found

    def post_list(self, wanted: Sequence[Wanted], key: str | None, fingerprint: UUID) -> list[Outcome]:
        """Movements without keys of their own, under one key for all."""
        if key is None:
            return [self._move(one) for one in wanted]
        if ("", key) in self.kept:
            first_content, first = self.kept["", key]
            if first_content == fingerprint:
                return [one._replace(replayed=True) for one in first]
            return [Outcome("key_reused", None, None, False, one.request_id) for one in wanted]
        found = [self._move(one) for one in wanted]
        self.kept["", key] = (fingerprint, found)
        return found

    def history(self, user_id: int) -> list[tuple[int, int]]:
        """(amount, balance after it) of each of a user's lines, oldest first."""
        return [(line.amount, line.balance_after) for line in self.lines if line.user_id == user_id]

    def _move(self, wanted: Wanted) -> Outcome:
        user_id, amount, request_id = wanted.user_id, wanted.amount, wanted.request_id
        if user_id not in self.balances:
            return Outcome("user_not_found", None, None, False, request_id)
        for number, line in enumerate(self.lines):
            if line.request_id == request_id:
                if (line.user_id, line.amount) == (user_id, amount):
                    return Outcome("posted", line.balance_after, number, True, request_id)
                return Outcome("request_id_reused", None, None, False, request_id)
        balance = self.balances[user_id]
        if balance + amount < 0:
            return Outcome("insufficient_funds", balance, None, False, request_id)
        if balance + amount > MOST:
            return Outcome("balance_limit", balance, None, False, request_id)
        self.balances[user_id] = balance + amount
        self.lines.append(Line(user_id, amount, balance + amount, request_id))
        return Outcome("posted", balance + amount, len(self.lines) - 1, False, request_id)


def cut(requests: Sequence[tuple[Wanted, bool]]) -> list[list[Wanted]]:
    """Batches of a sequence; True starts a new one, and so does a mark that the batch has already."""
    batches: list[list[Wanted]] = []
    taken: set[object] = set()
    for wanted, starts in requests:
        if not batches or starts or not taken.isdisjoint(wanted.marks):
            batches.append([])
            taken = set()
        batches[-1].append(wanted)
        taken |= wanted.marks
    return batches
