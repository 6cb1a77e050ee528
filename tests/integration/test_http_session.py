"""A browser's session: signing in and out, and other sites' pages."""

import asyncio
import re
from email.utils import parsedate_to_datetime

import pytest
from http_service import Service
from tokens import bearer, make

from server.access import administration
from server.access.tokens import make_token

PAGE = {"X-Ringfence-Page": "1"}


async def sign_in(service, database, *scopes: str, **how):
    """A new token, and the header with its cookie."""
    made = make(database, *scopes, **how)
    await service.keyring.read()
    answer = await service.call("POST", "/session", {"token": made.token})
    assert answer.status == 200, answer.body
    return made, {"Cookie": answer.headers["Set-Cookie"].partition(";")[0]}


@pytest.mark.gen_test
async def test_a_page_learns_that_a_token_is_needed_signs_in_and_out(guarded, database):
    nobody = {
        "required": True,
        "signedIn": False,
        "name": None,
        "scopes": [],
        "userId": None,
        "expiresAt": None,
    }
    assert await guarded.get("/session") == nobody
    made = make(database, "read", "operate", name="Ann", lifetime_seconds=3600)
    await guarded.keyring.read()
    answer = await guarded.call("POST", "/session", {"token": made.token})
    assert answer.json | {"expiresAt": "then"} == {
        "required": True,
        "signedIn": True,
        "name": "Ann",
        "scopes": ["operate", "read"],
        "userId": None,
        "expiresAt": "then",
    }
    assert answer.json["expiresAt"].startswith(made.expires_at[:19])
    cookie, *attributes = answer.headers["Set-Cookie"].split("; ")
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(attributes)
    assert "Secure" not in attributes  # nor may it be, or plain HTTP could not sign in
    held = {"Cookie": cookie}
    assert (await guarded.call("GET", "/session", headers=held)).json == answer.json
    assert (await guarded.call("GET", "/tasks", headers=held)).status == 200
    gone = await guarded.call("DELETE", "/session", headers=held | PAGE)
    assert (gone.status, gone.body) == (204, b"")
    assert gone.headers["Set-Cookie"].startswith('ringfence_session="";')
    ends = re.search(r"expires=([^;]+)", gone.headers["Set-Cookie"])
    assert parsedate_to_datetime(ends[1]) < parsedate_to_datetime(gone.headers["Date"])


@pytest.mark.gen_test
async def test_any_instance_takes_the_cookie_and_none_once_the_token_is_revoked(guarded, database, tmp_path):
    other = Service(database, tmp_path, name="node-2", tokens=True)
    await other.start()
    made, cookie = await sign_in(guarded, database, "read")
    await other.keyring.read()
    assert (await other.call("GET", "/tasks", headers=cookie)).status == 200
    administration.revoke(database.owner_url, made.id)
    for node in (guarded, other):
        await node.keyring.read()
        assert (await node.call("GET", "/tasks", headers=cookie)).is_problem(401, "invalid_token")
        assert (await node.call("GET", "/session", headers=cookie)).json["signedIn"] is False
    await other.stop()


@pytest.mark.gen_test
async def test_what_is_no_token_signs_nobody_in(guarded, capsys):
    for token in (make_token().text, "", "secret"):
        answer = await guarded.call("POST", "/session", {"token": token})
        assert answer.is_problem(401, "invalid_token")
        assert "Set-Cookie" not in answer.headers
    assert capsys.readouterr().out.count("a token was refused") == 3
    for body in ({}, {"token": 7}, {"token": "x", "more": 1}, []):
        assert (await guarded.call("POST", "/session", body)).is_problem(422, "invalid_request")


@pytest.mark.gen_test
async def test_a_session_changes_nothing_without_the_pages_header(guarded, database):
    _, cookie = await sign_in(guarded, database, "money")
    for path in ("/withdraw", "/users"):
        body = {"userId": 1, "amount": 1} if path == "/withdraw" else {}
        answer = await guarded.call("POST", path, body, cookie)
        assert answer.is_problem(403, "cross_site_request")
        assert (await guarded.call("POST", path, body, cookie | PAGE)).status < 300
    assert (await guarded.call("DELETE", "/session", headers=cookie)).is_problem(403, "cross_site_request")


@pytest.mark.parametrize(
    ("sent", "is_own"),
    [
        ({"Origin": "http://evil.example"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": "http://["}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "http://evil.example"}, False),
        ({"Origin": "http://{host}"}, True),
        ({"Origin": "http://{host}", "Sec-Fetch-Site": "same-origin"}, True),
        ({}, True),
    ],
    ids=str,
)
@pytest.mark.gen_test
async def test_another_sites_page_changes_nothing_with_a_session_or_without(
    guarded, service, database, sent, is_own
):
    _, cookie = await sign_in(guarded, database, "money")
    for node, held in ((guarded, cookie | PAGE), (service, {})):
        headers = {name: text.format(host=f"127.0.0.1:{node.port}") for name, text in sent.items()}
        answer = await node.call("POST", "/withdraw", {"userId": 1, "amount": 1}, held | headers)
        assert answer.status == 200 if is_own else answer.is_problem(403, "cross_site_request")
        # Whoever holds a token is no browser that was tricked.
        token = bearer(make(database, "read").token)
        await node.keyring.read()
        assert (await node.call("GET", "/tasks", headers=token | headers)).status == 200


@pytest.mark.gen_test
async def test_another_sites_page_can_neither_sign_in_nor_act_without_a_body(service, database, cluster):
    evil = {"Origin": "http://evil.example"}
    made = make(database, "admin")
    await service.keyring.read()
    for path, body in (("/session", {"token": made.token}), ("/tasks/backup/pause", b"")):
        assert (await service.call("POST", path, body, evil)).is_problem(403, "cross_site_request")
    assert (await service.get("/tasks/backup"))["paused"] is False


@pytest.mark.gen_test
async def test_where_no_token_is_needed_a_stale_cookie_locks_nobody_out(service):
    await service.keyring.read()
    stale = {"Cookie": f"ringfence_session={make_token().text}"}
    assert (await service.call("GET", "/tasks", headers=stale)).status == 200
    assert await service.get("/session") == {
        "required": False,
        "signedIn": False,
        "name": None,
        "scopes": [],
        "userId": None,
        "expiresAt": None,
    }


@pytest.mark.gen_test
async def test_an_open_stream_of_events_ends_when_its_token_is_revoked(guarded, database):
    made = make(database, "read")
    await guarded.keyring.read()
    reader, writer = await guarded.connect()
    writer.write(f"GET /events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {made.token}\r\n\r\n".encode())
    await asyncio.wait_for(reader.readuntil(b": here\n"), 20)
    administration.revoke(database.owner_url, made.id)
    await guarded.keyring.read()
    await asyncio.wait_for(reader.readuntil(b"0\r\n\r\n"), 20)
    writer.close()
