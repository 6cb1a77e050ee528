"""Who is let in over HTTP: scopes, one account, ends of tokens, and nobody in doubt."""

import hmac

import pytest
from http_service import Service
from tokens import bearer, make

from server.access import administration, keyring
from server.access.tokens import make_token
from server.errors import DatabaseUnavailableError
from server.web.scopes import NEEDS

WITHDRAWAL = {"userId": 1, "amount": 250}
PLACES = {
    "{version}": "x",
    "{file}": "main.js",
    "{userId}": "1",
    "{name}": "backup",
    "{runId}": "7",
    "{requestId}": "0" * 8 + "-0000-7000-8000-" + "0" * 12,
}


async def let_in(service, database, *scopes: str, **how) -> dict[str, str]:
    """The header of a new token that the node knows."""
    made = make(database, *scopes, **how)
    await service.keyring.read()
    return bearer(made.token)


def path_of(route: str) -> str:
    for place, value in PLACES.items():
        route = route.replace(place, value)
    return route


@pytest.mark.gen_test
async def test_without_a_token_nothing_is_answered_but_what_is_open(guarded):
    for (method, route), need in NEEDS.items():
        if route == "/session":
            continue
        answer = await guarded.call(method, path_of(route), {} if method == "POST" else None)
        if need is None:
            assert answer.status == 200, route
        else:
            assert answer.is_problem(401, "unauthenticated"), route
            assert answer.headers["WWW-Authenticate"].startswith("Bearer ")


@pytest.mark.parametrize("held", ["money", "read", "operate"])
@pytest.mark.gen_test
async def test_each_scope_opens_its_routes_and_is_named_where_it_lacks(guarded, database, held):
    token = await let_in(guarded, database, held)
    for (method, route), need in NEEDS.items():
        if need is None or route == "/events":
            continue
        answer = await guarded.call(method, path_of(route), {"x": 1} if method == "POST" else None, token)
        if need.scope == held:
            assert answer.status not in {401, 403}, route
        else:
            assert answer.is_problem(403, "forbidden"), route
            assert answer.json["scope"] == need.scope
            assert f'scope="{need.scope}"' in answer.headers["WWW-Authenticate"]


@pytest.mark.gen_test
async def test_admin_may_do_everything(guarded, database):
    token = await let_in(guarded, database, "admin")
    assert (await guarded.call("POST", "/withdraw", WITHDRAWAL, token)).json["balance"] == 9_750
    assert (await guarded.call("GET", "/tasks", headers=token)).status == 200
    assert (await guarded.call("GET", "/metrics", headers=token)).status == 200


@pytest.mark.gen_test
async def test_both_ways_of_the_money_path_ask_for_the_token(guarded, database):
    # A charset sends a request the long way; see lean.py.
    for headers in ({}, {"Content-Type": "application/json; charset=utf-8"}):
        answer = await guarded.call("POST", "/withdraw", WITHDRAWAL, headers)
        assert answer.is_problem(401, "unauthenticated")
        wrong = headers | bearer(make_token().text)
        assert (await guarded.call("POST", "/deposit", WITHDRAWAL, wrong)).is_problem(401, "invalid_token")
        token = headers | await let_in(guarded, database, "money")
        assert (await guarded.call("POST", "/withdraw", WITHDRAWAL, token)).status == 200
        reader = headers | await let_in(guarded, database, "read")
        assert (await guarded.call("POST", "/withdraw", WITHDRAWAL, reader)).is_problem(403, "forbidden")
    assert (await guarded.call("GET", "/users/1", headers=await let_in(guarded, database, "read"))).json[
        "balance"
    ] == 9_500


@pytest.mark.gen_test
async def test_a_token_of_one_account_moves_and_sees_that_account_alone(guarded, database):
    every = await let_in(guarded, database, "money", "read")
    other = (await guarded.call("POST", "/users", {"balance": 100}, every)).json["id"]
    theirs = (await guarded.call("POST", "/withdraw", {"userId": other, "amount": 1}, every)).json[
        "requestId"
    ]
    own = await let_in(guarded, database, "money", "read", user_id=1)

    mine = await guarded.call("POST", "/withdraw", WITHDRAWAL, own)
    assert mine.json["balance"] == 9_750
    assert (await guarded.call("GET", "/users/1/entries", headers=own)).status == 200
    assert (await guarded.call("GET", f"/requests/{mine.json['requestId']}", headers=own)).status == 200
    list_of_both = {"withdrawals": [WITHDRAWAL, {"userId": other, "amount": 1}]}
    for method, path, body in (
        ("POST", "/withdraw", {"userId": other, "amount": 1}),
        ("POST", "/deposit", {"userId": other, "amount": 1}),
        ("POST", "/withdrawals", list_of_both),
        ("POST", "/users", {}),
        ("GET", f"/users/{other}", None),
        ("GET", f"/users/{other}/entries", None),
        ("GET", f"/requests/{theirs}", None),
        ("GET", "/ledger/check", None),
        ("GET", "/tasks", None),
        ("GET", "/metrics", None),
    ):
        assert (await guarded.call(method, path, body, own)).is_problem(403, "forbidden"), path
    assert (await guarded.call("GET", f"/users/{other}", headers=every)).json["balance"] == 99


@pytest.mark.gen_test
async def test_a_wrong_revoked_or_expired_token_gets_one_and_the_same_answer(guarded, database, capsys):
    revoked, brief = make(database, "admin"), make(database, "admin", lifetime_seconds=0.001)
    good = make(database, "admin")
    administration.revoke(database.owner_url, revoked.id)
    await guarded.keyring.read()
    forged = good.token[:-1] + ("A" if good.token[-1] != "A" else "B")
    answers = [
        await guarded.call("GET", "/tasks", headers=bearer(token))
        for token in (revoked.token, brief.token, forged, make_token().text, "nonsense", "")
    ]
    assert all(answer.is_problem(401, "invalid_token") for answer in answers)
    assert len({answer.body for answer in answers}) == 1
    log = capsys.readouterr().out
    for reason in ("revoked", "expired", "wrong secret", "unknown"):
        assert reason in log
    for made in (revoked, brief, good):
        assert made.token not in log
    assert (await guarded.call("GET", "/tasks", headers=bearer(good.token))).status == 200


@pytest.mark.gen_test
async def test_nobody_is_let_in_before_the_tokens_were_read(io_loop, database, tmp_path):
    node = Service(database, tmp_path, tokens=True)
    await node.start()
    made = make(database, "admin")
    for path in ("/tasks", "/metrics"):
        answer = await node.call("GET", path, headers=bearer(made.token))
        assert answer.is_problem(503, "database_unavailable")
    assert (await node.call("POST", "/withdraw", WITHDRAWAL, bearer(made.token))).status == 503
    assert (await node.call("GET", "/healthz")).status == 200
    await node.keyring.read()
    assert (await node.call("GET", "/tasks", headers=bearer(made.token))).status == 200
    await node.stop()


@pytest.mark.gen_test
async def test_where_none_is_needed_a_token_that_is_sent_counts_all_the_same(service, database):
    assert (await service.call("GET", "/tasks")).status == 200
    assert (await service.call("GET", "/tasks", headers={"Authorization": "Basic eDp5"})).status == 200
    reader = await let_in(service, database, "read")
    assert (await service.call("GET", "/tasks", headers=reader)).status == 200
    assert (await service.call("POST", "/withdraw", WITHDRAWAL, reader)).is_problem(403, "forbidden")
    wrong = bearer(make_token().text)
    assert (await service.call("POST", "/withdraw", WITHDRAWAL, wrong)).is_problem(401, "invalid_token")


@pytest.mark.gen_test
async def test_an_idempotency_key_is_its_clients_own(guarded, database):
    first, second = [await let_in(guarded, database, "money") for _ in range(2)]
    key = {"Idempotency-Key": "order-4711"}
    for path, body in (
        ("/withdraw", WITHDRAWAL),
        ("/withdrawals", {"withdrawals": [WITHDRAWAL]}),
        ("/users", {}),
    ):
        unlike = {"Idempotency-Key": f"order-{path.strip('/')}"}
        one = await guarded.call("POST", path, body, first | unlike)
        again = await guarded.call("POST", path, body, first | unlike)
        other = await guarded.call("POST", path, body, second | unlike)
        assert (again.body, again.headers["Idempotency-Replayed"]) == (one.body, "true")
        assert other.body != one.body
        assert "Idempotency-Replayed" not in other.headers
    # Not even one that was used for something else stands in another's way.
    assert (await guarded.call("POST", "/deposit", WITHDRAWAL, first | key)).status == 200
    assert (await guarded.call("POST", "/withdraw", WITHDRAWAL, second | key)).status == 200


@pytest.mark.gen_test
async def test_digests_are_compared_in_constant_time_also_for_ids_that_nobody_has(
    guarded, database, monkeypatch
):
    compared = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return hmac.compare_digest(one, other)

    monkeypatch.setattr(keyring, "compare_digest", compare)
    token = await let_in(guarded, database, "read")
    assert (await guarded.call("GET", "/tasks", headers=token)).status == 200
    assert (await guarded.call("GET", "/tasks", headers=bearer(make_token().text))).status == 401
    assert compared == [(32, 32), (32, 32)]


@pytest.mark.gen_test
async def test_the_use_of_a_token_is_noted_in_the_table(guarded, database):
    made = make(database, "read")
    await guarded.keyring.read()
    await guarded.call("GET", "/tasks", headers=bearer(made.token))
    await guarded.keyring._mark_used()
    (listed,) = administration.listed(database.application_url)
    assert (listed.id, listed.last_used_at is not None) == (made.id, True)


@pytest.mark.gen_test
async def test_a_use_that_could_not_be_noted_is_noted_later(guarded, database, monkeypatch):
    monkeypatch.setattr(keyring, "MARK_SECONDS", 0.0)
    token = await let_in(guarded, database, "read")
    await guarded.call("GET", "/tasks", headers=token)
    with monkeypatch.context() as away:

        async def fail(*_: object, **__: object) -> None:
            raise DatabaseUnavailableError("as wanted")

        away.setattr(guarded.database, "rows", fail)
        with pytest.raises(DatabaseUnavailableError):
            await guarded.keyring._mark_used()
    await guarded.keyring._mark_used()
    (listed,) = administration.listed(database.application_url)
    assert listed.last_used_at is not None
