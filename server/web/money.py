"""Accounts and their ledger: withdraw, deposit, open, look."""

from typing import ClassVar

from msgspec import Struct

from server.money.amounts import parse_movement, parse_opening
from server.money.ledger_check import LedgerChecks
from server.money.movement_lists import BODY_BYTES_MAX, parse_withdrawals
from server.money.outcomes import Operation
from server.money.postings import Wish
from server.money.records import Entry
from server.web import replies
from server.web.handlers import JsonHandler
from server.web.idempotency import key_of
from server.web.parameters import (
    InvalidParametersError,
    cursor_after,
    id_in_path,
    request_id_in_path,
)
from server.web.routes import Route
from server.web.services import Services

PAGE_ENTRIES = 100
PAGE_ENTRIES_MAX = 1000


class EntriesPage(Struct, frozen=True):
    """Entries newest first; next: the cursor of the page that follows, null at the end."""

    entries: list[Entry]
    next: str | None


class _KeyedHandler(JsonHandler):
    """Takes an Idempotency-Key, which is the client's own: another token's is another key."""

    def admit(self) -> None:
        super().admit()
        self.key = key_of(self.request.headers)

    @property
    def wish(self) -> Wish:
        # Made anew and kept nowhere: it leads back here, and a cycle would keep the body until a collection.
        return Wish(self.key, self.caller.token, self.is_wanted, self.trace)


class _MovementHandler(_KeyedHandler):
    operation: ClassVar[Operation]

    async def post(self) -> None:
        movement = parse_movement(self.body())
        self.check_accounts("money", movement.user_id)
        (posted,) = await self.services.bank.move(self.operation, movement, self.wish)
        self.send(replies.of_movement(movement, posted, self.key))


class WithdrawHandler(_MovementHandler):
    """POST /withdraw: takes money out of one account.

    Body    {"userId": 1, "amount": 250, "requestId"?: UUID}, whole minor units.
    Header  Idempotency-Key: a repeat with the same key gets the first answer.
    Answer  200 {"userId", "amount", "balance", "entryId", "requestId"}
    Errors  404 user_not_found   409 insufficient_funds
            409 idempotency_conflict: the first request of this key has no outcome yet
            422 request_id_reused, idempotency_key_reused
            503 database_unavailable, overloaded, account_busy: nothing happened
            503 outcome_unknown: the money may have moved; repeat with the same requestId
    """

    operation = "withdraw"


class DepositHandler(_MovementHandler):
    """POST /deposit: puts money into one account; body and answer as for a withdrawal.

    Errors  404 user_not_found   409 balance_limit   the others as for a withdrawal
    """

    operation = "deposit"


class WithdrawalsHandler(_KeyedHandler):
    """POST /withdrawals: up to 10,000 withdrawals in one transaction.

    Body    {"withdrawals": [{"userId", "amount", "requestId"?}, ...]}, up to 2 MiB.
    Answer  200 {"results": [...]}, one for each, in order: what it would have been
            alone, with its `status`; a refusal of one stops no other.
    Errors  422 invalid_request: names the places, a repeated requestId too; the
            others as for a withdrawal, and then nothing of the list has happened
    """

    body_bytes_max = BODY_BYTES_MAX

    async def post(self) -> None:
        movements = parse_withdrawals(self.body())
        self.check_accounts("money", *{movement.user_id for movement in movements})
        posted = await self.services.bank.withdraw_all(movements, self.wish)
        self.send(replies.of_movements(movements, posted, self.key))


class UsersHandler(_KeyedHandler):
    """POST /users: opens an account.

    Body    {"balance"?: 10000}, whole minor units; nothing means 0.
    Header  Idempotency-Key: a repeat with the same key opens no second account.
    Answer  201 {"id", "balance"} and its Location.
    Errors  409 idempotency_conflict   422 idempotency_key_reused
            503 database_unavailable, outcome_unknown
    """

    async def post(self) -> None:
        opened = await self.services.bank.open_account(parse_opening(self.body()), self.wish)
        self.send(replies.of_opening(opened))


class UserHandler(JsonHandler):
    """GET /users/{userId}: 200 {"id", "balance"}, or 404 user_not_found.

    Query   at: a moment, RFC 3339; then 200 {"id", "balance", "at"}, what the balance
            was after the last movement up to then; 404 before the account was opened.
    """

    parameters = ("at",)

    async def get(self, user_id: str) -> None:
        moment = self.query.moment("at")
        self.query.done()
        number = id_in_path("userId", user_id)
        self.check_accounts("read", number)
        if moment is None:
            self.answer(await self.services.bank.account(number))
            return
        past = await self.services.bank.balance_at(number, moment)
        if past is None:
            raise InvalidParametersError([("at", "must not lie in the future")])
        self.answer(past)


class EntriesHandler(JsonHandler):
    """GET /users/{userId}/entries: the account's ledger, newest first.

    Query   limit from 1 to 1000 (100), cursor from `next` of the page before.
    Answer  200 {"entries": [...], "next": null | cursor}, or 404 user_not_found.
    """

    parameters = ("limit", "cursor")

    async def get(self, user_id: str) -> None:
        limit = self.query.whole_number("limit", PAGE_ENTRIES, PAGE_ENTRIES_MAX)
        before = self.query.cursor("cursor", "entry")
        self.query.done()
        number = id_in_path("userId", user_id)
        self.check_accounts("read", number)
        page = await self.services.bank.entries(number, before, limit)
        following = cursor_after("entry", page.entries[-1].id) if page.more else None
        self.answer(EntriesPage(page.entries, following))


class RequestIdHandler(JsonHandler):
    """GET /requests/{requestId}: the entry that a movement left, or 404 no_movement."""

    async def get(self, request_id: str) -> None:
        entry = await self.services.bank.movement(request_id_in_path("requestId", request_id))
        self.check_accounts("read", entry.user_id)
        self.answer(entry)


class LedgerCheckHandler(JsonHandler):
    """GET /ledger/check: compares every balance with the sum of its entries.

    Answer  200 {"isSound", "accounts", "entries", "balancesSum", "entriesSum",
            "differing", "differences": [{"userId", "balance", "entriesSum"}],
            "checkedAt", "seconds"}; reads the whole ledger, so it takes its time.
    """

    def initialize(self, services: Services, route: str, checks: LedgerChecks) -> None:
        self.begin(services, route)
        self.checks = checks

    async def get(self) -> None:
        self.answer(await self.checks.check())


def routes(services: Services) -> tuple[Route, ...]:
    """The routes of this module."""
    return (
        *ROUTES,
        Route("/ledger/check", LedgerCheckHandler, {"checks": LedgerChecks(services.database.url)}),
    )


ROUTES = (
    Route("/withdraw", WithdrawHandler),
    Route("/deposit", DepositHandler),
    Route("/withdrawals", WithdrawalsHandler),
    Route("/users", UsersHandler),
    Route("/users/{userId}", UserHandler),
    Route("/users/{userId}/entries", EntriesHandler),
    Route("/requests/{requestId}", RequestIdHandler),
)
