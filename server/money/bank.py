"""The accounts, as the rest of the product sees them: ask, and get an answer or an error.

Authority is the database: its functions and constraints decide. Every movement
carries a request id, the client's or one made here, so that it can be sent again
after a lost connection and count once.

    what happened                           what the caller gets
    --------------------------------------  -----------------------------------------
    decided, now or by an earlier sending   Posted, always the same one
    no connection until the deadline        DatabaseUnavailableError: nothing happened
    not sent until the deadline             NotSentError, OverloadedError: the same
    sent, unanswered until the deadline     OutcomeUnknownError, with the request id
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from time import monotonic
from typing import Any
from uuid import UUID

import psycopg

from server.errors import UserNotFoundError
from server.money.amounts import Movement
from server.money.batcher import Batcher
from server.money.outcomes import Operation
from server.money.postings import NO_WISH, Listing, Posted, Posting, Wish
from server.money.records import Account, Entry, EntryPage, Opened, PastBalance
from server.money.refusals import (
    IdempotencyConflictError,
    IdempotencyKeyReusedError,
    MovementNotFoundError,
    NotYetOpenedError,
    OutcomeUnknownError,
)
from server.money.request_ids import RequestIds, derived_id, fingerprint
from server.postgres.connections import ANSWER_SECONDS_MAX, Database, UnansweredError
from server.postgres.faults import ONE_ENTRY_PER_REQUEST, constraint_of
from server.postgres.sessions import Row
from server.postgres.statements import load

SPARE_SECONDS = 0.2
"""What is left of a deadline for an answer to come back."""

STATEMENTS = load("server.money", "ledger.sql")


class Bank:
    """Withdrawals, deposits, accounts and their ledger."""

    def __init__(self, database: Database, batcher: Batcher, deadline_seconds: float) -> None:
        self._database = database
        self._batcher = batcher
        self._deadline_seconds = deadline_seconds
        self._request_ids = RequestIds()

    def move(
        self, operation: Operation, movement: Movement, wish: Wish = NO_WISH
    ) -> "asyncio.Future[list[Posted]]":
        """Takes money out of an account or puts it in; one outcome.

        Raises OverloadedError at once; the future's errors are those above, and
        IdempotencyConflictError.
        """
        answer: asyncio.Future[list[Posted]] = asyncio.get_running_loop().create_future()
        self._batcher.submit(
            Posting(
                deadline=monotonic() + self._deadline_seconds,
                answer=answer,
                wish=wish,
                user_id=movement.user_id,
                amount=-movement.amount if operation == "withdraw" else movement.amount,
                request_id=movement.request_id or self._request_ids.make(),
                is_repeatable=movement.request_id is not None or wish.key is not None,
            )
        )
        return answer

    def withdraw_all(
        self, movements: Sequence[Movement], wish: Wish = NO_WISH
    ) -> "asyncio.Future[list[Posted]]":
        """Withdrawals of one client in one transaction, each with its own outcome, in order.

        With a key, each one's request id follows from the key, the list and its place,
        unless the client gave it: so what was posted counts once even when the key has
        been pruned. Errors as for move().
        """
        answer: asyncio.Future[list[Posted]] = asyncio.get_running_loop().create_future()
        make = self._request_ids.make
        content = fingerprint(movements)
        if wish.key is None:
            request_ids = [movement.request_id or make() for movement in movements]
        else:
            request_ids = [
                movement.request_id or derived_id(wish.client, wish.key, f"{content} {place}")
                for place, movement in enumerate(movements)
            ]
        self._batcher.submit(
            Listing(
                deadline=monotonic() + self._deadline_seconds,
                answer=answer,
                wish=wish,
                user_ids=[movement.user_id for movement in movements],
                amounts=[-movement.amount for movement in movements],
                request_ids=request_ids,
                fingerprint=content,
            )
        )
        return answer

    async def open_account(self, balance: int, wish: Wish = NO_WISH) -> Opened:
        """Makes an account; balance in minor units, 0 to 2^53 - 1.

        Raises DatabaseUnavailableError; OutcomeUnknownError when an account may
        have been made that nobody was told of; with a key, IdempotencyKeyReusedError
        when it was used for anything else, and IdempotencyConflictError when its
        first request has no outcome until the deadline.
        """
        request_id = self._request_ids.make()
        params = {"balance": balance, "request_id": request_id}
        try:
            if wish.key is None:
                return await self._open(params)
            return await self._open_once(wish.key, params | {"client": wish.client})
        except UnansweredError as error:
            raise OutcomeUnknownError(request_id) from error

    async def _open(self, params: dict[str, Any]) -> Opened:
        try:
            (row,) = await self._ask("open_account", params)
        except psycopg.Error as error:
            if constraint_of(error) != ONE_ENTRY_PER_REQUEST:
                raise
            # An earlier sending, whose answer was lost, made the account.
            entry = await self.movement(UUID(params["request_id"]))
            return Opened(Account(entry.user_id, entry.amount), replayed=False)
        return Opened(Account(row.user_id, params["balance"]), replayed=False)

    async def _open_once(self, key: str, params: dict[str, Any]) -> Opened:
        # The wait for the key's first request ends in time for its answer to arrive.
        wait_ms = round(1000 * max(self._deadline_seconds - SPARE_SECONDS, self._deadline_seconds / 2))
        (row,) = await self._ask(
            "open_account_once", params | {"key": key, "wait_ms": wait_ms}, self._deadline_seconds
        )
        if row.outcome == "key_reused":
            raise IdempotencyKeyReusedError(key)
        if row.outcome == "under_way":
            raise IdempotencyConflictError(key)
        return Opened(Account(row.user_id, params["balance"]), replayed=row.outcome == "replayed")

    async def account(self, user_id: int) -> Account:
        """One account. Raises UserNotFoundError, DatabaseUnavailableError."""
        rows = await self._ask("account", {"user_id": user_id})
        if not rows:
            raise UserNotFoundError(user_id)
        return Account(*rows[0])

    async def balance_at(self, user_id: int, moment: datetime) -> PastBalance | None:
        """The balance at a moment; None for a moment in the future of the database's clock.

        Raises UserNotFoundError, or NotYetOpenedError; DatabaseUnavailableError.
        """
        (row,) = await self._ask("balance_at", {"user_id": user_id, "moment": moment})
        if row.is_future:
            return None
        if row.balance is None:
            await self.account(user_id)
            raise NotYetOpenedError(user_id, row.moment)
        return PastBalance(user_id, row.balance, row.moment)

    async def entries(self, user_id: int, before: int | None, limit: int) -> EntryPage:
        """A page of an account's ledger, newest first.

        before: the id of the last entry of the page before; None starts at the newest.
        Raises UserNotFoundError, DatabaseUnavailableError.
        """
        # One more than asked for tells whether another page follows.
        params = {"user_id": user_id, "before": before, "limit": limit + 1}
        rows = await self._ask("newest_entries" if before is None else "entries_before", params)
        if not rows:
            await self.account(user_id)
        return EntryPage([Entry(*row) for row in rows[:limit]], more=len(rows) > limit)

    async def movement(self, request_id: UUID) -> Entry:
        """What a request id did. Raises MovementNotFoundError, DatabaseUnavailableError.

        That nothing is found is final once the deadline and the statement
        timeout have passed since the request was sent.
        """
        rows = await self._ask("movement", {"request_id": request_id})
        if not rows:
            raise MovementNotFoundError(f"No movement carries the request id {request_id}.")
        return Entry(*rows[0])

    async def _ask(
        self, statement: str, params: dict[str, Any], answer_seconds_max: float = ANSWER_SECONDS_MAX
    ) -> list[Row]:
        return await self._database.rows(
            STATEMENTS[statement],
            params,
            deadline_seconds=self._deadline_seconds,
            answer_seconds_max=answer_seconds_max,
        )
