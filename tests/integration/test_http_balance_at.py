"""GET /users/{id}?at=: what an account's balance was at a moment."""

import random
from datetime import UTC, datetime, timedelta, timezone
from urllib.parse import quote

import pytest
from http_service import Service, open_account

MICROSECOND = timedelta(microseconds=1)


async def at(service, user_id: int, moment: str):
    return await service.call("GET", f"/users/{user_id}?at={quote(moment)}")


async def ledger(service, user_id: int) -> list[dict]:
    """An account's entries, oldest first."""
    return (await service.get(f"/users/{user_id}/entries?limit=1000"))["entries"][::-1]


async def account_with_history(service, amounts: list[int]) -> int:
    user_id = await open_account(service, 100)
    for amount in amounts:
        path = "/deposit" if amount > 0 else "/withdraw"
        assert (await service.call("POST", path, {"userId": user_id, "amount": abs(amount)})).status == 200
    return user_id


def text_of(moment: datetime) -> str:
    return moment.isoformat()


@pytest.mark.gen_test
async def test_at_the_moment_of_an_entry_the_balance_is_the_one_after_it(service):
    user_id = await account_with_history(service, [10, -3, 50])
    for entry in await ledger(service, user_id):
        answer = await at(service, user_id, entry["createdAt"])
        assert answer.status == 200
        assert answer.json == {"id": user_id, "balance": entry["balanceAfter"], "at": entry["createdAt"]}


@pytest.mark.gen_test
async def test_just_before_an_entry_the_balance_is_the_one_before_it(service):
    user_id = await account_with_history(service, [10, -3, 50])
    opening, *later = await ledger(service, user_id)
    before = opening["balanceAfter"]
    for entry in later:
        moment = datetime.fromisoformat(entry["createdAt"]) - MICROSECOND
        assert (await at(service, user_id, text_of(moment))).json["balance"] == before
        before = entry["balanceAfter"]


@pytest.mark.gen_test
async def test_before_an_account_was_opened_it_is_not_found(service):
    user_id = await account_with_history(service, [10])
    opening, _ = await ledger(service, user_id)
    moment = datetime.fromisoformat(opening["createdAt"]) - MICROSECOND
    for text in (
        text_of(moment),
        "2000-01-01T00:00:00Z",
        "0001-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
    ):
        answer = await at(service, user_id, text)
        assert answer.is_problem(404, "user_not_found"), text
        assert "was opened later" in answer.json["detail"]
        assert answer.json["userId"] == user_id


@pytest.mark.gen_test
async def test_an_unknown_user_is_a_404_at_every_moment(service):
    (entry,) = await ledger(service, 1)
    assert (await at(service, 2, entry["createdAt"])).is_problem(404, "user_not_found")


@pytest.mark.gen_test
async def test_a_moment_in_the_future_is_refused(service):
    tomorrow = text_of(datetime.now(UTC) + timedelta(days=1))
    for text in (tomorrow, "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-14:00"):
        for user_id in (1, 2):
            answer = await at(service, user_id, text)
            assert answer.is_problem(422, "invalid_request"), text
            assert answer.json["errors"] == [{"parameter": "at", "detail": "must not lie in the future"}]


@pytest.mark.gen_test
async def test_a_moment_is_understood_in_every_form_of_rfc_3339_and_told_in_utc(service):
    user_id = await account_with_history(service, [10, -3, 50])
    entry = (await ledger(service, user_id))[2]
    moment = datetime.fromisoformat(entry["createdAt"])
    abroad = text_of(moment.astimezone(timezone(timedelta(hours=5, minutes=45))))
    for text in (
        entry["createdAt"].lower(),
        abroad,
        text_of(moment.astimezone(timezone(-timedelta(hours=11)))),
        text_of(moment).replace("+00:00", "-00:00"),
        entry["createdAt"].replace("Z", "999Z"),
    ):
        answer = await at(service, user_id, text)
        assert answer.json == {"id": user_id, "balance": 107, "at": entry["createdAt"]}, text
    assert "+05:45" in abroad
    lost = await service.call("GET", f"/users/{user_id}?at={abroad}")
    assert lost.is_problem(422, "invalid_request")  # an unescaped + is a blank
    assert "%2B" in lost.json["errors"][0]["detail"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-01-01",
        "2026-01-01T00:00:00",
        "2026-01-01 00:00:00Z",
        "2026-01-01T00:00Z",
        "2026-01-01T00:00:00.Z",
        "2026-01-01T00:00:00.1234567890Z",
        "2026-01-01T00:00:00,5Z",
        "2026-01-01T00:00:00+1",
        "2026-01-01T00:00:00+0100",
        "2026-01-01T00:00:00+24:00",
        "2026-01-01T25:00:00Z",
        "2026-01-01T00:00:60Z",
        "2026-02-30T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "12026-01-01T00:00:00Z",
        "-001-01-01T00:00:00Z",
        "20260101T000000Z",
        "2026-W01-1T00:00:00Z",
        "1767225600",
        "infinity",
        " 2026-01-01T00:00:00Z",
        "2026-01-01T00:00:00Z\n",
        "\u0662026-01-01T00:00:00Z",
        "2026-01-01T00:00:00Z\0",
    ],
)
@pytest.mark.gen_test
async def test_what_is_no_moment_is_a_422_that_names_the_parameter(service, text):
    answer = await at(service, 1, text)
    assert answer.is_problem(422, "invalid_request")
    (error,) = answer.json["errors"]
    assert error["parameter"] == "at"
    assert "2026-01-31T08:00:00Z" in error["detail"]


@pytest.mark.gen_test
async def test_a_moment_that_is_given_twice_and_other_parameters_are_refused(service):
    (entry,) = await ledger(service, 1)
    once = f"at={entry['createdAt']}"
    for query, name in (
        (f"{once}&{once}", "at"),
        (f"{once}&until=x", "until"),
        (f"At={entry['createdAt']}", "At"),
    ):
        answer = await service.call("GET", f"/users/1?{query}")
        assert answer.is_problem(422, "invalid_request")
        assert [error["parameter"] for error in answer.json["errors"]] == [name]


@pytest.mark.gen_test
async def test_head_asks_for_a_past_balance_as_well(service):
    (entry,) = await ledger(service, 1)
    answer = await service.call("HEAD", f"/users/1?at={entry['createdAt']}")
    assert (answer.status, answer.body) == (200, b"")


@pytest.mark.gen_test(timeout=60)
async def test_at_any_moment_of_a_long_shared_history_the_balance_is_what_the_entries_say(service, database):
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    accounts = [await open_account(service, 1000) for _ in range(4)]
    for _ in range(30):
        # Entries of one batch have one moment; that of the last one counts.
        wanted = [{"userId": chance.choice(accounts), "amount": chance.randint(1, 9)} for _ in range(12)]
        assert (await service.call("POST", "/withdrawals", {"withdrawals": wanted})).status == 200
    for user_id in accounts:
        entries = [
            (datetime.fromisoformat(e["createdAt"]), e["balanceAfter"])
            for e in await ledger(service, user_id)
        ]
        for moment, _ in chance.sample(entries, 15):
            for asked in (moment - MICROSECOND, moment, moment + MICROSECOND):
                known = [balance for created_at, balance in entries if created_at <= asked]
                answer = await at(service, user_id, text_of(asked))
                assert answer.status == (200 if known else 404)
                assert not known or answer.json["balance"] == known[-1]


@pytest.mark.gen_test
async def test_the_time_zone_of_the_database_changes_nothing(service, database, tmp_path):
    opening, newest = await ledger(service, await account_with_history(service, [10]))
    with database.connect_as_owner() as owner:
        owner.execute(f"alter database {database.name} set timezone to 'Asia/Kathmandu'")
    elsewhere = Service(database, tmp_path, name="node-2")
    await elsewhere.start()
    try:
        for entry in (opening, newest):
            answer = await at(elsewhere, entry["userId"], entry["createdAt"])
            assert answer.json == {
                "id": entry["userId"],
                "balance": entry["balanceAfter"],
                "at": entry["createdAt"],
            }
    finally:
        await elsewhere.stop()
