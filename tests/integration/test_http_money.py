"""Money over HTTP: every answer of the money routes, on a real server over a real PostgreSQL."""

from uuid import UUID

import pytest
from http_service import JSON, is_untouched, open_account

from server.cluster.roster import Member
from server.cron.history import Run, Running, TaskState
from server.money.records import Account, Entry, Receipt

MOST = 2**53 - 1


# What succeeds


@pytest.mark.gen_test
async def test_a_withdrawal_answers_with_its_receipt_and_leaves_an_entry(service):
    answer = await service.call("POST", "/withdraw", {"userId": 1, "amount": 250})
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/json"
    receipt = answer.json
    assert set(receipt) == {"userId", "amount", "balance", "entryId", "requestId"}
    assert (receipt["userId"], receipt["amount"], receipt["balance"]) == (1, 250, 9750)
    assert UUID(receipt["requestId"]).version == 7
    assert await service.get("/users/1") == {"id": 1, "balance": 9750}

    newest, opening = (await service.get("/users/1/entries"))["entries"]
    assert (newest["id"], newest["amount"], newest["balanceAfter"]) == (receipt["entryId"], -250, 9750)
    assert (opening["amount"], opening["balanceAfter"]) == (10_000, 10_000)
    assert await service.get(f"/requests/{receipt['requestId']}") == newest


@pytest.mark.gen_test
async def test_a_deposit_answers_with_its_receipt(service):
    answer = await service.call("POST", "/deposit", {"userId": 1, "amount": 5})
    assert (answer.status, answer.json["amount"], answer.json["balance"]) == (200, 5, 10_005)


@pytest.mark.gen_test
async def test_an_account_opens_with_a_balance_with_none_and_with_no_body(service):
    for body, balance in (({"balance": 7}, 7), ({}, 0), (b"", 0)):
        answer = await service.call("POST", "/users", body)
        assert answer.status == 201
        assert answer.json["balance"] == balance
        assert answer.headers["Location"] == f"/users/{answer.json['id']}"
        assert await service.get(answer.headers["Location"]) == answer.json
        (opening,) = (await service.get(answer.headers["Location"] + "/entries"))["entries"]
        assert opening["amount"] == opening["balanceAfter"] == balance


@pytest.mark.gen_test
async def test_the_whole_balance_can_be_withdrawn_and_not_one_more(service):
    assert (await service.call("POST", "/withdraw", {"userId": 1, "amount": 10_000})).json["balance"] == 0
    answer = await service.call("POST", "/withdraw", {"userId": 1, "amount": 1})
    assert answer.is_problem(409, "insufficient_funds")
    assert (answer.json["balance"], answer.json["shortfall"]) == (0, 1)


@pytest.mark.gen_test
async def test_entries_come_in_pages_newest_first_without_gap_or_repetition(service):
    user_id = await open_account(service, 0)
    for _ in range(12):
        await service.call("POST", "/deposit", {"userId": user_id, "amount": 1})
    seen, path = [], f"/users/{user_id}/entries?limit=5"
    page = await service.get(path)
    while True:
        seen += page["entries"]
        if page["next"] is None:
            break
        # What comes meanwhile is newer, and moves nothing on the pages that follow.
        await service.call("POST", "/deposit", {"userId": user_id, "amount": 1})
        page = await service.get(f"{path}&cursor={page['next']}")
    assert [entry["balanceAfter"] for entry in seen] == list(range(12, -1, -1))


# What is refused, and changes nothing

INVALID = [
    ('{"userId":1,"amount":"2"}', ["#/amount"]),
    ('{"userId":1,"amount":2.0}', ["#/amount"]),
    ('{"userId":1,"amount":1e3}', ["#/amount"]),
    ('{"userId":1,"amount":true}', ["#/amount"]),
    ('{"userId":1,"amount":null}', ["#/amount"]),
    ('{"userId":1,"amount":-2}', ["#/amount"]),
    ('{"userId":1,"amount":0}', ["#/amount"]),
    ('{"userId":1,"amount":9007199254740992}', ["#/amount"]),
    ('{"userId":1,"amount":%s}' % ("9" * 60_000), ["#/amount"]),
    ('{"userId":1,"amount":[2]}', ["#/amount"]),
    ('{"userId":1,"amount":{"value":2}}', ["#/amount"]),
    ('{"userId":"1","amount":2}', ["#/userId"]),
    ('{"userId":1}', ["#/amount"]),
    ('{"amount":2}', ["#/userId"]),
    ("{}", ["#/userId", "#/amount"]),
    ('{"userId":1,"amount":2,"amount":2}', ["#/amount"]),
    ('{"userId":1,"userId":2,"amount":2}', ["#/userId"]),
    ('{"userId":1,"amount":2,"note":"x"}', ["#/note"]),
    ('{"userId":1,"amount":2,"requestId":"x"}', ["#/requestId"]),
    ('{"userId":1,"amount":2,"requestId":null}', ["#/requestId"]),
    ("[1,2]", ["#"]),
    ("2", ["#"]),
    ('"x"', ["#"]),
    ("null", ["#"]),
]
NOT_JSON = [
    b"",
    b" ",
    b"{",
    b'{"userId":1,"amount":2',
    b"{'userId':1,'amount':2}",
    b'{"userId":1,"amount":2,}',
    b'{"userId":1,"amount":2}{}',
    b'{"userId":1,"amount":NaN}',
    b'{"userId":1,"amount":Infinity}',
    b'\xef\xbb\xbf{"userId":1,"amount":2}',
    b'{"userId":1,"amount":2,"\xff":1}',
    b"[" * 60_000,
    b"userId=1&amount=2",
]


@pytest.mark.gen_test(timeout=30)
async def test_a_body_that_is_not_valid_is_a_422_that_names_the_member_and_changes_nothing(service):
    for route in ("/withdraw", "/deposit"):
        for body, pointers in INVALID:
            answer = await service.call("POST", route, body.encode(), JSON)
            assert answer.is_problem(422, "invalid_request"), body[:80]
            assert [error["pointer"] for error in answer.json["errors"]] == pointers, body[:80]
            assert all(error["detail"] for error in answer.json["errors"])
    assert await is_untouched(service)


@pytest.mark.gen_test(timeout=30)
async def test_a_body_that_is_no_json_is_a_400_and_changes_nothing(service):
    for route in ("/withdraw", "/deposit"):
        for body in NOT_JSON:
            answer = await service.call("POST", route, body, JSON)
            assert answer.is_problem(400, "invalid_json"), body[:80]
    assert await is_untouched(service)


@pytest.mark.gen_test
async def test_a_wrong_or_missing_content_type_is_a_415_and_changes_nothing(service):
    body = b'{"userId":1,"amount":2}'
    for headers in (
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "multipart/form-data; boundary=x"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    ):
        answer = await service.call("POST", "/withdraw", body, headers)
        assert answer.is_problem(415, "unsupported_media_type"), headers
    assert await is_untouched(service)


@pytest.mark.gen_test
async def test_json_is_accepted_with_parameters_and_in_any_case(service):
    for content_type in ("application/json; charset=utf-8", "APPLICATION/JSON", "application/json;v=1"):
        headers = {"Content-Type": content_type}
        answer = await service.call("POST", "/withdraw", b'{"userId":1,"amount":2}', headers)
        assert answer.status == 200


@pytest.mark.gen_test
async def test_too_large_an_opening_balance_opens_nothing(service):
    for body in (
        b'{"balance":-1}',
        b'{"balance":9007199254740992}',
        b'{"balance":1,"balance":1}',
        b'{"x":1}',
        b"[]",
    ):
        assert (await service.call("POST", "/users", body, JSON)).is_problem(422, "invalid_request")
    assert (await service.call("GET", "/users/2")).is_problem(404, "user_not_found")


@pytest.mark.gen_test
async def test_a_query_on_a_route_that_takes_none_is_named_and_changes_nothing(service):
    answer = await service.call("POST", "/withdraw?dryRun=true", {"userId": 1, "amount": 2})
    assert answer.is_problem(422, "invalid_request")
    assert answer.json["errors"][0]["parameter"] == "dryRun"
    assert await is_untouched(service)


@pytest.mark.gen_test
async def test_an_unknown_user_is_a_404_on_every_route(service):
    for route in ("/withdraw", "/deposit"):
        answer = await service.call("POST", route, {"userId": MOST, "amount": 2})
        assert answer.is_problem(404, "user_not_found")
        assert answer.json["userId"] == MOST
    for path in ("/users/2", "/users/2/entries", f"/users/{MOST}"):
        assert (await service.call("GET", path)).is_problem(404, "user_not_found")


@pytest.mark.gen_test
async def test_an_id_that_can_be_no_id_is_named_and_never_a_500(service):
    ids = (
        "abc",
        "0",
        "-1",
        "1.5",
        "1e3",
        "99999999999999999999999",
        "9" * 5000,
        "%00",
        "1%00",
        "%F0%9F%92%B0",
    )
    for text in ids:
        for path in (f"/users/{text}", f"/users/{text}/entries"):
            answer = await service.call("GET", path)
            assert answer.is_problem(422, "invalid_request"), path[:60]
            assert answer.json["errors"][0]["parameter"] == "userId"
    assert (await service.call("GET", "/requests/abc")).is_problem(422, "invalid_request")
    assert (await service.call("GET", "/users/%ff")).is_problem(400, "bad_request")


@pytest.mark.gen_test
async def test_wrong_parameters_of_a_page_are_all_named(service):
    answer = await service.call("GET", "/users/1/entries?limit=1001&cursor=x&page=2")
    assert answer.is_problem(422, "invalid_request")
    assert {error["parameter"] for error in answer.json["errors"]} == {"limit", "cursor", "page"}


@pytest.mark.gen_test
async def test_insufficient_funds_is_a_409_with_balance_and_shortfall_and_changes_nothing(service):
    answer = await service.call("POST", "/withdraw", {"userId": 1, "amount": 10_001})
    assert answer.is_problem(409, "insufficient_funds")
    assert (answer.json["balance"], answer.json["shortfall"]) == (10_000, 1)
    answer = await service.call("POST", "/withdraw", {"userId": 1, "amount": MOST})
    assert answer.json["shortfall"] == MOST - 10_000
    assert await is_untouched(service)


@pytest.mark.gen_test
async def test_a_deposit_beyond_what_json_carries_is_a_409_and_changes_nothing(service):
    answer = await service.call("POST", "/deposit", {"userId": 1, "amount": MOST})
    assert answer.is_problem(409, "balance_limit")
    assert answer.json["balance"] == 10_000
    assert await is_untouched(service)
    full = await open_account(service, MOST)
    assert (await service.call("POST", "/withdraw", {"userId": full, "amount": MOST})).json["balance"] == 0


def test_json_of_the_answers_is_camel_case_throughout():
    for kind in (Member, Run, Running, TaskState, Account, Entry, Receipt):
        for name in kind.__struct_encode_fields__:
            assert name.isalnum(), name
