"""Accounts and their ledger: withdraw, deposit, open, look."""

from collections.abc import Awaitable, Callable

from msgspec import Struct

from server.money.amounts import Movement, parse_movement, parse_opening
from server.money.records import Entry, Receipt
from server.web.handlers import JsonHandler
from server.web.parameters import cursor_after, id_in_path, request_id_in_path
from server.web.routes import Route

PAGE_ENTRIES = 100
PAGE_ENTRIES_MAX = 1000


class EntriesPage(Struct, frozen=True):
    """Entries newest first; next: the cursor of the page that follows, null at the end."""

    entries: list[Entry]
    next: str | None


class _MovementHandler(JsonHandler):
    async def post(self) -> None:
        self.answer(await self.move(parse_movement(self.body())))

    @property
    def move(self) -> Callable[[Movement], Awaitable[Receipt]]:
        """What the bank is asked to do."""
        raise NotImplementedError


class WithdrawHandler(_MovementHandler):
    """POST /withdraw: takes money out of one account.

    Body    {"userId": 1, "amount": 250, "requestId"?: UUID}, whole minor units.
    Answer  200 {"userId", "amount", "balance", "entryId", "requestId"}
    Errors  404 user_not_found   409 insufficient_funds   422 request_id_reused
            503 database_unavailable: nothing happened
            503 outcome_unknown: the money may have moved; repeat with the same requestId
    """

    @property
    def move(self) -> Callable[[Movement], Awaitable[Receipt]]:
        return self.services.bank.withdraw


class DepositHandler(_MovementHandler):
    """POST /deposit: puts money into one account; body and answer as for a withdrawal.

    Errors  404 user_not_found   409 balance_limit   422 request_id_reused
            503 as for a withdrawal
    """

    @property
    def move(self) -> Callable[[Movement], Awaitable[Receipt]]:
        return self.services.bank.deposit


class UsersHandler(JsonHandler):
    """POST /users: opens an account.

    Body    {"balance"?: 10000}, whole minor units; nothing means 0.
    Answer  201 {"id", "balance"} and its Location.
    """

    async def post(self) -> None:
        account = await self.services.bank.open_account(parse_opening(self.body()))
        self.set_header("Location", f"/users/{account.id}")
        self.answer(account, 201)


class UserHandler(JsonHandler):
    """GET /users/{userId}: 200 {"id", "balance"}, or 404 user_not_found."""

    async def get(self, user_id: str) -> None:
        self.answer(await self.services.bank.account(id_in_path("userId", user_id)))


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
        page = await self.services.bank.entries(id_in_path("userId", user_id), before, limit)
        following = cursor_after("entry", page.entries[-1].id) if page.more else None
        self.answer(EntriesPage(page.entries, following))


class RequestIdHandler(JsonHandler):
    """GET /requests/{requestId}: the entry that a movement left, or 404 no_movement."""

    async def get(self, request_id: str) -> None:
        self.answer(await self.services.bank.movement(request_id_in_path("requestId", request_id)))


ROUTES = (
    Route("/withdraw", WithdrawHandler),
    Route("/deposit", DepositHandler),
    Route("/users", UsersHandler),
    Route("/users/{userId}", UserHandler),
    Route("/users/{userId}/entries", EntriesHandler),
    Route("/requests/{requestId}", RequestIdHandler),
)
