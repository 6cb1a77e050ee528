"""POST /withdrawals: many withdrawals in one request and one transaction, each with its own result."""

import json
from collections import Counter
from time import monotonic
from uuid import UUID, uuid4

import pytest
from http_service import (
    JSON,
    is_untouched,
    open_account,
)
from withdrawal_lists import MANY, ONE, balance_of, post_list, take

BODY_BYTES_MAX = 2 * 1024 * 1024


# Results


@pytest.mark.gen_test
async def test_each_withdrawal_has_its_own_result_in_order(service):
    other, used = await open_account(service, 5), str(uuid4())
    await service.call("POST", "/withdraw", take(1, 7, used))
    wanted = [
        take(1, 3),
        take(other, 6),
        take(other, 5),
        take(99, 1),
        take(1, 8, used),
        take(1, 9_990),
        take(1, 1),
    ]
    answer = await post_list(service, wanted)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
    results = answer.json["results"]
    assert list(answer.json) == ["results"]
    assert [(result["status"], result.get("balance"), result.get("code")) for result in results] == [
        (200, 9990, None),
        (409, 5, "insufficient_funds"),
        (200, 0, None),
        (404, None, "user_not_found"),
        (422, None, "request_id_reused"),
        (200, 0, None),
        (409, 0, "insufficient_funds"),
    ]
    assert len({UUID(result["requestId"]) for result in results}) == len(results)
    assert await balance_of(service) == await balance_of(service, other) == 0


@pytest.mark.gen_test
async def test_a_result_is_what_the_withdrawal_would_have_got_alone(service):
    one, other = await open_account(service, 100), await open_account(service, 100)
    for amount in (30, 71):
        alone = await service.call("POST", "/withdraw", take(one, amount))
        (listed,) = (await post_list(service, [take(other, amount)])).json["results"]
        assert listed.pop("status") == alone.status
        expected = alone.json | {"userId": other, "requestId": listed["requestId"]}
        expected.pop("status", None)
        if alone.status == 200:
            expected["entryId"] = listed["entryId"]
        else:
            expected["detail"] = expected["detail"].replace(f"User {one}", f"User {other}")
        assert listed == expected
    page = (await service.get(f"/users/{other}/entries"))["entries"]
    assert [entry["amount"] for entry in page] == [-30, 100]


@pytest.mark.gen_test
async def test_a_refused_withdrawal_stops_none_of_those_behind_it(service):
    results = (await post_list(service, [take(1, 10_001), take(1, 10_000), take(1, 1)])).json["results"]
    assert [result["status"] for result in results] == [409, 200, 409]
    assert (results[0]["balance"], results[0]["shortfall"]) == (10_000, 1)


@pytest.mark.gen_test
async def test_every_result_is_found_again_by_its_request_id(service):
    named = str(uuid4())
    results = (await post_list(service, [ONE, take(1, 2, named.upper()), take(1, 50_000)])).json["results"]
    assert results[1]["requestId"] == named
    for result in results[:2]:
        entry = await service.get(f"/requests/{result['requestId']}")
        assert (entry["id"], -entry["amount"]) == (result["entryId"], result["amount"])
    refused = await service.call("GET", f"/requests/{results[2]['requestId']}")
    assert refused.is_problem(404, "no_movement")


@pytest.mark.gen_test
async def test_a_request_id_that_moved_money_before_gets_its_first_result_again(service):
    named = str(uuid4())
    alone = await service.call("POST", "/withdraw", take(1, 30, named))
    first, again = (await post_list(service, [ONE, take(1, 30, named)])).json["results"]
    assert (first["status"], first["balance"]) == (200, 9969)
    assert again == alone.json | {"status": 200}
    assert await balance_of(service) == 9969


@pytest.mark.gen_test
async def test_the_whole_list_is_one_transaction(service, database):
    accounts = [await open_account(service, 10) for _ in range(5)]
    await post_list(service, [take(user_id, 1) for user_id in accounts * 2])
    with database.connect() as reader:
        found = reader.execute("select count(*), count(distinct xmin::text) from entries where amount = -1")
        assert found.fetchone() == (10, 1)


# Ten thousand


@pytest.mark.gen_test(timeout=60)
async def test_of_ten_thousand_withdrawals_in_one_request_exactly_those_that_fit_succeed(service):
    user_id = await open_account(service, 14_001)
    longest = [take(user_id, 2, str(uuid4())) for _ in range(MANY)]
    began = monotonic()
    answer = await post_list(service, longest)
    assert monotonic() - began < 5
    results = answer.json["results"]
    assert [result["status"] for result in results] == [200] * 7_000 + [409] * 3_000
    assert [result["balance"] for result in results[:7_000]] == list(range(13_999, 0, -2))
    assert [result["requestId"] for result in results] == [one["requestId"] for one in longest]
    entry_ids = [result["entryId"] for result in results[:7_000]]
    assert entry_ids == sorted(set(entry_ids))
    assert await balance_of(service, user_id) == 1


@pytest.mark.gen_test(timeout=60)
async def test_ten_thousand_with_a_key_are_replayed_byte_for_byte(service):
    accounts = [await open_account(service, 5) for _ in range(100)]
    wanted = [take(accounts[n % 100], 1) for n in range(MANY)]
    first, again = await post_list(service, wanted, "k"), await post_list(service, wanted, "k")
    assert Counter(result["status"] for result in first.json["results"]) == {200: 500, 409: 9_500}
    assert again.body == first.body
    assert again.headers["Idempotency-Replayed"] == "true"
    assert {await balance_of(service, user_id) for user_id in accounts} == {0}


@pytest.mark.gen_test(timeout=60)
async def test_a_list_of_more_than_ten_thousand_is_a_422_and_changes_nothing(service):
    answer = await post_list(service, [ONE] * (MANY + 1))
    assert answer.is_problem(422, "invalid_request")
    assert answer.json["errors"][0]["pointer"] == "#/withdrawals"
    assert await is_untouched(service)


@pytest.mark.gen_test(timeout=30)
async def test_a_body_of_two_mebibytes_is_read_and_one_byte_more_is_a_413(service):
    body = json.dumps({"withdrawals": [ONE]}).encode().ljust(BODY_BYTES_MAX)
    assert (await service.call("POST", "/withdrawals", body, JSON)).status == 200
    answer = await service.call("POST", "/withdrawals", body + b" ", JSON)
    assert answer.is_problem(413, "body_too_large")
    assert answer.json["limitBytes"] == BODY_BYTES_MAX
    assert await balance_of(service) == 9999


# Refused as a whole


@pytest.mark.gen_test
async def test_a_request_id_that_occurs_twice_is_a_422_that_names_its_place_and_changes_nothing(service):
    named = str(uuid4())
    answer = await post_list(service, [ONE, take(1, 1, named), ONE, take(1, 2, named.upper())])
    assert answer.is_problem(422, "invalid_request")
    (error,) = answer.json["errors"]
    assert error["pointer"] == "#/withdrawals/3/requestId"
    assert "withdrawal 1" in error["detail"]
    assert await is_untouched(service)


@pytest.mark.gen_test
async def test_one_faulty_withdrawal_refuses_the_list_and_is_named_by_its_place(service):
    for faulty, pointer in (
        (take(1, 0), "#/withdrawals/1/amount"),
        ({"userId": 1}, "#/withdrawals/1/amount"),
        (take(1, 1, "x"), "#/withdrawals/1/requestId"),
        (ONE | {"note": 1}, "#/withdrawals/1/note"),
        (7, "#/withdrawals/1"),
    ):
        answer = await post_list(service, [ONE, faulty, ONE])
        assert answer.is_problem(422, "invalid_request"), faulty
        assert [error["pointer"] for error in answer.json["errors"]] == [pointer]
    assert (await post_list(service, [])).is_problem(422, "invalid_request")
    for body in (b"", b"{", b'{"withdrawals":[}'):
        answer = await service.call("POST", "/withdrawals", body, JSON)
        assert answer.is_problem(400, "invalid_json")
    assert await is_untouched(service)


@pytest.mark.gen_test
async def test_other_methods_and_queries_are_refused(service):
    answer = await service.call("GET", "/withdrawals")
    assert answer.is_problem(405, "method_not_allowed")
    assert answer.headers["Allow"] == "POST, OPTIONS"
    answer = await service.call("POST", "/withdrawals?x=1", {"withdrawals": [ONE]})
    assert answer.is_problem(422, "invalid_request")
    assert await is_untouched(service)


# Keys


@pytest.mark.gen_test
async def test_with_a_key_each_request_id_follows_from_the_key_and_its_place(service):
    named = str(uuid4())
    wanted = [ONE, ONE, take(1, 1, named)]
    results = (await post_list(service, wanted, "k")).json["results"]
    assert [UUID(result["requestId"]).version for result in results[:2]] == [8, 8]
    assert len({result["requestId"] for result in results}) == 3
    assert results[2]["requestId"] == named
    assert (await post_list(service, wanted, "k")).json["results"] == results
    assert await balance_of(service) == 9997


@pytest.mark.gen_test
async def test_the_order_of_a_list_is_part_of_what_its_key_stands_for(service):
    other = await open_account(service, 10)
    wanted = [ONE, take(other, 1)]
    await post_list(service, wanted, "k")
    assert (await post_list(service, wanted[::-1], "k")).is_problem(422, "idempotency_key_reused")
    assert (await balance_of(service), await balance_of(service, other)) == (9999, 9)
