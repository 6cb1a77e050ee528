"""One effect for each request id, and one truth for many at once, over HTTP."""

import asyncio
from collections import Counter
from uuid import uuid4

import psycopg
import pytest
from http_service import Service, is_untouched, open_account, until_somebody_waits_for_a_lock

# Request ids


@pytest.mark.gen_test
async def test_a_request_id_sent_again_gets_the_first_answer_and_moves_nothing(service):
    body = {"userId": 1, "amount": 30, "requestId": str(uuid4())}
    first = await service.call("POST", "/withdraw", body)
    await service.call("POST", "/deposit", {"userId": 1, "amount": 500})
    again = await service.call("POST", "/withdraw", body)
    assert (first.status, again.status) == (200, 200)
    assert again.body == first.body
    assert (await service.get("/users/1"))["balance"] == 10_470


@pytest.mark.gen_test
async def test_a_request_id_used_for_something_else_is_a_422_and_changes_nothing(service):
    other = await open_account(service, 100)
    body = {"userId": other, "amount": 30, "requestId": str(uuid4())}
    await service.call("POST", "/withdraw", body)
    for route, changed in (
        ("/withdraw", {"amount": 31}),
        ("/withdraw", {"userId": 1}),
        ("/deposit", {}),
    ):
        answer = await service.call("POST", route, body | changed)
        assert answer.is_problem(422, "request_id_reused")
        assert answer.json["requestId"] == body["requestId"]
    assert (await service.get(f"/users/{other}"))["balance"] == 70
    assert await is_untouched(service)


@pytest.mark.gen_test
async def test_a_request_id_that_moved_nothing_is_a_404(service):
    assert (await service.call("GET", f"/requests/{uuid4()}")).is_problem(404, "no_movement")


@pytest.mark.gen_test(timeout=30)
async def test_fifty_clients_with_one_request_id_cause_one_effect(service):
    body = {"userId": 1, "amount": 30, "requestId": str(uuid4())}
    answers = await asyncio.gather(*(service.call("POST", "/withdraw", body) for _ in range(50)))
    assert {answer.body for answer in answers} == {answers[0].body}
    assert (await service.get("/users/1"))["balance"] == 9970


@pytest.mark.gen_test(timeout=30)
async def test_a_request_id_on_its_way_for_another_account_is_refused_once_that_commits(service, database):
    other, request_id = await open_account(service, 100), uuid4()
    with psycopg.connect(database.direct_url) as rival:
        rival.execute("select * from withdraw(1, 10, %s)", [request_id])
        body = {"userId": other, "amount": 10, "requestId": str(request_id)}
        asked = asyncio.create_task(service.call("POST", "/withdraw", body))
        await until_somebody_waits_for_a_lock(database)
        rival.commit()
        assert (await asked).is_problem(422, "request_id_reused")
    assert (await service.get(f"/users/{other}"))["balance"] == 100


# Many at once


@pytest.mark.gen_test(timeout=60)
async def test_of_200_withdrawals_of_2_from_100_at_once_exactly_50_succeed(service):
    user_id = await open_account(service, 100)
    answers = await asyncio.gather(
        *(service.call("POST", "/withdraw", {"userId": user_id, "amount": 2}) for _ in range(200))
    )
    assert Counter(answer.status for answer in answers) == {200: 50, 409: 150}
    assert sorted(a.json["balance"] for a in answers if a.status == 200) == list(range(0, 100, 2))
    assert all(a.json["balance"] < 2 for a in answers if a.status == 409)
    assert (await service.get(f"/users/{user_id}"))["balance"] == 0
    entries = (await service.get(f"/users/{user_id}/entries?limit=1000"))["entries"]
    assert sum(entry["amount"] for entry in entries) == 0
    assert len({entry["requestId"] for entry in entries}) == 51


@pytest.mark.gen_test(timeout=60)
async def test_two_nodes_share_the_truth_about_one_account(service, database, tmp_path):
    other = Service(database, tmp_path, name="node-2")
    await other.start()
    try:
        answers = await asyncio.gather(
            *(
                node.call("POST", "/withdraw", {"userId": 1, "amount": 300})
                for node in (service, other)
                for _ in range(30)
            )
        )
    finally:
        await other.stop()
    assert Counter(answer.status for answer in answers) == {200: 33, 409: 27}
    assert (await service.get("/users/1"))["balance"] == 100
