"""Lists of withdrawals in one request."""

from http_service import Answer, Service

MANY = 10_000
ONE = {"userId": 1, "amount": 1}


def take(user_id: int, amount: int, request_id: str | None = None) -> dict[str, object]:
    found: dict[str, object] = {"userId": user_id, "amount": amount}
    return found | {"requestId": request_id} if request_id else found


async def post_list(service: Service, withdrawals: list[object], key: str | None = None) -> Answer:
    headers = {} if key is None else {"Idempotency-Key": key}
    return await service.call("POST", "/withdrawals", {"withdrawals": withdrawals}, headers)


async def balance_of(service: Service, user_id: int = 1) -> int:
    return (await service.get(f"/users/{user_id}"))["balance"]
