"""The same request to the lean path and to the handlers, and what comes back made comparable.

Two nodes over one database: one with the front door, the other with the bare
application behind it. Each request goes to both, with an account, a request id and a
key of its own each time, and what comes back is compared byte for byte but for those.
"""

import re
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from uuid import uuid4

from http_service import Service
from raw_http import Exchange, RawAnswer, exchange

LIMIT = 64 * 1024
OPENING = 100
USER, ID, KEY = "@user@", "@request-id@------------------------", "@key@"
"""What each sending replaces by its own; the first two by texts of the same length."""
GOOD = f'{{"userId":{USER},"amount":2}}'.encode()
NAMED = f'{{"userId":{USER},"amount":2,"requestId":"{ID}"}}'.encode()
TOO_MUCH = f'{{"userId":{USER},"amount":101}}'.encode()
WITH_KEY = f"Idempotency-Key: {KEY}"
MADE_HERE = re.compile(r'"(entryId":[0-9]+|requestId":"[0-9a-f]{8}-[0-9a-f-]{27}")')


@dataclass(frozen=True)
class Way:
    """One of the two ways to the money."""

    node: Service
    name: str

    async def send(self, request: bytes, answers: int) -> tuple[Exchange, list[tuple[int, int]]]:
        """What came back, with the marks in place again, and the ledger of the account after it."""
        user_id = (await self.node.bank.open_account(OPENING)).account.id
        marks = {USER: str(user_id), ID: str(uuid4()), KEY: f"{self.name}-{uuid4()}"}
        for mark, own in marks.items():
            request = request.replace(mark.encode(), own.encode())
        found = await exchange(self.node.port, request, answers)
        page = await self.node.bank.entries(user_id, None, 100)
        return (
            replace(found, answers=tuple(_unmarked(answer, marks) for answer in found.answers)),
            [(entry.amount, entry.balance_after) for entry in page.entries],
        )


def _unmarked(answer: RawAnswer, marks: dict[str, str]) -> RawAnswer:
    body = answer.body.decode()
    for mark, own in marks.items():
        body = body.replace(own, mark)
    body = MADE_HERE.sub('"made here"', body)
    headers = sorted((name, _undated(name, value)) for name, value in answer.headers)
    return RawAnswer(answer.start, tuple(headers), body.encode())


def _undated(name: str, value: str) -> str:
    return f"{parsedate_to_datetime(value).tzinfo}" if name == "Date" else value


async def compare(ways: tuple[Way, Way], request: bytes, answers: int = 1) -> Exchange:
    """What the lean path answers, after it was found to be what the handlers answer."""
    (lean, ledger), (handlers, other_ledger) = [await way.send(request, answers) for way in ways]
    assert lean == handlers, request[:300]
    assert ledger == other_ledger, request[:300]
    return lean


def statuses(found: Exchange) -> list[int]:
    return [int(answer.start.split(" ")[1]) for answer in found.answers]


async def counts(node: Service) -> dict[str, float]:
    """How many requests of each kind a node has counted."""
    text = (await node.call("GET", "/metrics")).body.decode()
    found = re.findall(r"ringfence_http_request_seconds_count\{(.*)\} (.*)", text)
    return {labels: float(number) for labels, number in found if "/metrics" not in labels}
