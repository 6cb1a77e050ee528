"""Requests with an Idempotency-Key, on every route that takes one."""

from http_service import Answer, Service

KEY = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
TAKE = {"userId": 1, "amount": 30}
ROUTES = [
    ("/withdraw", TAKE),
    ("/deposit", TAKE),
    ("/withdrawals", {"withdrawals": [TAKE, {"userId": 1, "amount": 50_000}, {"userId": 99, "amount": 1}]}),
    ("/users", {"balance": 30}),
]


async def post(service: Service, path: str, body: object, key: str) -> Answer:
    return await service.call("POST", path, body, {KEY: key})


def is_replay(again: Answer, first: Answer) -> bool:
    """Whether an answer is the first one once more, in all but its date, and says so."""
    headers, first_headers = dict(again.headers.get_all()), dict(first.headers.get_all())
    headers["Date"] = first_headers["Date"]
    return (
        first.headers.get(REPLAYED) is None
        and headers.pop(REPLAYED, None) == "true"
        and headers == first_headers
        and (again.status, again.body) == (first.status, first.body)
    )


async def entries_of(service: Service, user_id: int = 1) -> list[int]:
    """The amounts on an account's ledger, oldest first, after the opening one."""
    entries = (await service.get(f"/users/{user_id}/entries?limit=1000"))["entries"]
    return [entry["amount"] for entry in reversed(entries)][1:]
