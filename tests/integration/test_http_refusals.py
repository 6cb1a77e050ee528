"""Who was not let in: in the audit record, as few lines, and never so that the table could be filled."""

import asyncio

import pytest
from http_service import insist
from tokens import bearer, make

from server.access import administration
from server.access.refused import Line, Refusal, RefusalRecord
from server.cluster.lease import boot_time

UNKNOWN = "rf_0123456789ab_" + "x" * 43


async def lines(database, count: int) -> list[tuple[str, ...]]:
    """What the record tells of refused requests, oldest first, once there are so many lines."""
    statement = """select actor_kind, actor, actor_name, target, outcome, peer, node from audit
                    where action = 'access.refused' order by id"""
    async with asyncio.timeout(20):
        while True:
            with database.connect() as connection:
                found = [tuple(row) for row in connection.execute(statement)]
            if len(found) >= count:
                return found
            await asyncio.sleep(0.01)


@pytest.mark.gen_test
async def test_each_kind_of_refusal_is_recorded_with_whom_it_was_proven_to_be(guarded, database):
    reader = make(database, "read", name="Rita")
    shop = make(database, "money", name="shop", user_id=1)
    gone = make(database, "admin", name="Gone")
    administration.revoke(database.owner_url, gone.id)
    await guarded.keyring.read()
    payment = {"userId": 1, "amount": 1}
    for method, path, body, headers, status in (
        ("POST", "/withdraw", payment, {}, 401),
        ("GET", "/audit", None, {}, 401),
        ("POST", "/tasks/backup/run", b"", bearer(reader.token), 403),
        ("POST", "/withdraw", {"userId": 2, "amount": 1}, bearer(shop.token), 403),
        ("GET", "/tasks", None, bearer(gone.token), 401),
        ("POST", "/deposit", payment, bearer(reader.token[:-1] + "!"), 401),
        ("POST", "/deposit", payment, bearer(f"rf_{reader.id}_{'x' * 43}"), 401),
        ("POST", "/session", {"token": UNKNOWN}, {}, 401),
        ("POST", "/withdraw", payment, {"Origin": "http://evil.example"}, 403),
    ):
        assert (await guarded.call(method, path, body, headers)).status == status, path
    here = ("127.0.0.1", "node-1")
    scope = "forbidden: This needs the scope operate, which this token lacks."
    other = "forbidden: This token is for account 1 alone."
    found = await lines(database, 8)
    # How many of a kind a line tells of depends on when it was written.
    assert sorted((*one[:4], one[4].removesuffix(" (2 times)"), *one[5:]) for one in found) == sorted(
        [
            # Who wants the record without a token counts as the one before: no more is known of either.
            ("anonymous", "", "", "POST /withdraw", "unauthenticated", *here),
            ("token", reader.id, "Rita", "POST /tasks/{name}/run", scope, *here),
            ("token", shop.id, "shop", "POST /withdraw", other, *here),
            ("token", gone.id, "Gone", "GET /tasks", "invalid_token: revoked", *here),
            ("anonymous", "", "", "POST /deposit", "invalid_token: unknown", *here),
            ("anonymous", "", "", "POST /deposit", f"invalid_token: wrong secret, as {reader.id}", *here),
            ("anonymous", "", "", "POST /session", "invalid_token: unknown, as 0123456789ab", *here),
            ("anonymous", "", "", "POST /withdraw", "cross_site_request", *here),
        ]
    )
    assert not any(UNKNOWN[-43:] in text or reader.token[-43:] in text for one in found for text in one)


@pytest.mark.gen_test
async def test_who_only_looks_without_a_token_is_no_news(guarded, database):
    for path in ("/tasks", "/metrics", "/users/1", "/session", "/"):
        await guarded.call("GET", path)
    await guarded.call("POST", "/tasks/backup/pause", b"")
    (only,) = await lines(database, 1)
    assert only[3] == "POST /tasks/{name}/pause"


@pytest.mark.gen_test
async def test_a_flood_of_wrong_tokens_leaves_60_lines_an_hour_and_is_counted(guarded, database):
    made = make(database, "admin")
    await guarded.keyring.read()
    for number in range(150):
        token = f"rf_{number:012x}_{'x' * 43}"
        assert (await guarded.call("GET", "/tasks", headers=bearer(token))).status == 401
        again = await guarded.call("POST", "/withdraw", {"userId": 1, "amount": 1}, bearer(token))
        assert again.status == 401
    found = await lines(database, 60)
    async with asyncio.timeout(20):
        while guarded.refusals.refusals.left_out == 0:
            await asyncio.sleep(0.01)
    assert len(await lines(database, 60)) == len(found) == 60
    # Another node, or the same one started anew, has no more room.
    other = RefusalRecord(guarded.database, "node-2", boot_time)
    await other._write([Line(Refusal("invalid_token: unknown", None, "192.0.2.7"), "GET /tasks", 1)])
    assert other.refusals.left_out == 1
    assert len(await lines(database, 60)) == 60
    answer = await insist(lambda: guarded.call("GET", "/tasks", headers=bearer(made.token)))
    assert answer.status == 200, "who has a token is served all the same"
