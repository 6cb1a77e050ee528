"""What operators did, for those who look after them."""

from msgspec import Struct

from server.access.audit import AuditFilter, AuditRecord, read_audit
from server.web.handlers import JsonHandler
from server.web.parameters import cursor_after
from server.web.routes import Route

PAGE_RECORDS = 100
PAGE_RECORDS_MAX = 1000


class AuditPage(Struct, frozen=True):
    """Actions newest first; next: the cursor of the page that follows, null at the end."""

    records: list[AuditRecord]
    next: str | None


class AuditHandler(JsonHandler):
    """GET /audit: the record of what operators did, newest first.

    Query   who (an actor or its name), action; since and until (since <= t < until);
            limit from 1 to 1000 (100), cursor from `next` of the page before.
    Answer  200 {"records": [...], "next": null | cursor}
    """

    parameters = ("who", "action", "since", "until", "limit", "cursor")

    async def get(self) -> None:
        wanted = AuditFilter(
            who=self.query.words("who"),
            action=self.query.name("action"),
            since=self.query.moment("since"),
            until=self.query.moment("until"),
            before_id=self.query.cursor("cursor", "audit"),
        )
        limit = self.query.whole_number("limit", PAGE_RECORDS, PAGE_RECORDS_MAX)
        self.query.done()
        records, more = await read_audit(self.services.database, wanted, limit)
        self.answer(AuditPage(records, cursor_after("audit", records[-1].id) if more else None))


def routes() -> tuple[Route, ...]:
    """The routes of this module."""
    return (Route("/audit", AuditHandler),)
