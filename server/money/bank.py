"""The accounts, as the rest of the product sees them: ask, and get an answer or an error.

Authority is the database: its functions and constraints decide, and this
module says what their error codes mean. Every movement carries a request id,
the client's or one made here, so that it can be sent again after a lost
connection and count once.

    what happened                           what the caller gets
    --------------------------------------  -----------------------------------------
    committed, now or by an earlier sending  Receipt, always the same one
    the constraint refused                  InsufficientFundsError, BalanceLimitError
    no connection until the deadline        DatabaseUnavailableError: nothing happened
    sent, unanswered until the deadline     OutcomeUnknownError, with the request id
"""

from collections.abc import Mapping
from time import monotonic
from typing import Any, NoReturn
from uuid import UUID

import psycopg

from server.errors import (
    BalanceLimitError,
    BalanceRefusedError,
    InsufficientFundsError,
    MovementNotFoundError,
    OutcomeUnknownError,
    RequestIdReusedError,
    UserNotFoundError,
)
from server.money.amounts import Movement
from server.money.records import Account, Entry, EntryPage, Receipt
from server.money.request_ids import RequestIds
from server.postgres.connections import Database, Row, UnansweredError
from server.postgres.faults import (
    BALANCE_NOT_NEGATIVE,
    BALANCE_WITHIN_JSON_INTEGERS,
    ONE_ENTRY_PER_REQUEST,
    Fault,
    balance_of,
    classify,
    constraint_of,
)
from server.postgres.statements import load

TWIN_ATTEMPTS_MAX = 5
"""How often a movement is repeated when another account uses its request id at this moment."""

_REFUSALS: Mapping[str, type[BalanceRefusedError]] = {
    BALANCE_NOT_NEGATIVE: InsufficientFundsError,
    BALANCE_WITHIN_JSON_INTEGERS: BalanceLimitError,
}


class Bank:
    """Withdrawals, deposits, accounts and their ledger."""

    def __init__(self, database: Database, deadline_seconds: float) -> None:
        self._database = database
        self._deadline_seconds = deadline_seconds
        self._statements = load("server.money", "ledger.sql")
        self._request_ids = RequestIds()

    async def withdraw(self, movement: Movement) -> Receipt:
        """Takes money out of an account.

        Raises InsufficientFundsError, UserNotFoundError, RequestIdReusedError,
        DatabaseUnavailableError, OutcomeUnknownError.
        """
        return await self._move("withdraw", movement)

    async def deposit(self, movement: Movement) -> Receipt:
        """Puts money into an account.

        Raises BalanceLimitError, UserNotFoundError, RequestIdReusedError,
        DatabaseUnavailableError, OutcomeUnknownError.
        """
        return await self._move("deposit", movement)

    async def open_account(self, balance: int) -> Account:
        """Makes an account; balance in minor units, 0 to 2^53 - 1.

        Raises DatabaseUnavailableError; OutcomeUnknownError when an account may
        have been made that nobody was told of.
        """
        request_id = self._request_ids.make()
        params = {"balance": balance, "request_id": request_id}
        try:
            (row,) = await self._ask("open_account", params, request_id, self._deadline_seconds)
        except psycopg.Error as error:
            if constraint_of(error) != ONE_ENTRY_PER_REQUEST:
                raise
            # An earlier sending, whose answer was lost, made the account.
            entry = await self.movement(request_id)
            return Account(entry.user_id, balance)
        return Account(row.user_id, balance)

    async def account(self, user_id: int) -> Account:
        """One account. Raises UserNotFoundError, DatabaseUnavailableError."""
        rows = await self._read("account", {"user_id": user_id})
        if not rows:
            raise UserNotFoundError(user_id)
        return Account(*rows[0])

    async def entries(self, user_id: int, before: int | None, limit: int) -> EntryPage:
        """A page of an account's ledger, newest first.

        before: the id of the last entry of the page before; None starts at the newest.
        Raises UserNotFoundError, DatabaseUnavailableError.
        """
        # One more than asked for tells whether another page follows.
        params = {"user_id": user_id, "before": before, "limit": limit + 1}
        rows = await self._read("newest_entries" if before is None else "entries_before", params)
        if not rows:
            await self.account(user_id)
        return EntryPage([Entry(*row) for row in rows[:limit]], more=len(rows) > limit)

    async def movement(self, request_id: UUID) -> Entry:
        """What a request id did. Raises MovementNotFoundError, DatabaseUnavailableError.

        That nothing is found is final once the deadline and the statement
        timeout have passed since the request was sent.
        """
        rows = await self._read("movement", {"request_id": request_id})
        if not rows:
            raise MovementNotFoundError(f"No movement carries the request id {request_id}.")
        return Entry(*rows[0])

    async def _move(self, statement: str, movement: Movement) -> Receipt:
        request_id = movement.request_id or self._request_ids.make()
        params = {"user_id": movement.user_id, "amount": movement.amount, "request_id": request_id}
        deadline = monotonic() + self._deadline_seconds
        for _ in range(TWIN_ATTEMPTS_MAX):
            try:
                (row,) = await self._ask(statement, params, request_id, deadline - monotonic())
            except psycopg.Error as error:
                if constraint_of(error) == ONE_ENTRY_PER_REQUEST:
                    # Its twin has committed by now: the next look finds it.
                    continue
                _raise_meaning(error, movement, request_id)
            return Receipt(movement.user_id, movement.amount, row.balance, row.entry_id, request_id)
        raise RequestIdReusedError(str(request_id))

    async def _ask(
        self, statement: str, params: dict[str, Any], request_id: UUID, seconds: float
    ) -> list[Row]:
        try:
            return await self._database.rows(self._statements[statement], params, deadline_seconds=seconds)
        except UnansweredError as error:
            raise OutcomeUnknownError(str(request_id)) from error

    async def _read(self, statement: str, params: dict[str, Any]) -> list[Row]:
        return await self._database.rows(
            self._statements[statement], params, deadline_seconds=self._deadline_seconds
        )


def _raise_meaning(error: psycopg.Error, movement: Movement, request_id: UUID) -> NoReturn:
    """Raises what an error of a movement means; the error itself if that is unknown."""
    fault = classify(error)
    if fault is Fault.NO_SUCH_USER:
        raise UserNotFoundError(movement.user_id) from error
    if fault is Fault.REQUEST_ID_REUSED:
        raise RequestIdReusedError(str(request_id)) from error
    refusal = _REFUSALS.get(constraint_of(error) or "")
    if refusal is None:
        raise error
    raise refusal(movement.user_id, balance_of(error), movement.amount) from error
