"""The lean path and the handlers give the same answers: the same requests are sent to both.

Two nodes over one database: one with the front door, the other with the bare
application behind it. Each request goes to both, with an account, a request id and a
key of its own each time, and what comes back is compared byte for byte but for those.
"""

import asyncio
import re
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from uuid import uuid4

import pytest
from http_service import Service, frozen_backend, until
from raw_http import Exchange, RawAnswer, exchange, post, raw, read_raw

from server.money.amounts import Movement

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


@pytest.fixture
def ways(io_loop, database, tmp_path):
    """The lean path and the handlers, over one database whose ids all have six digits."""
    with database.connect_as_owner() as owner:
        owner.execute("alter table users alter column id restart with 100001")
        owner.execute("alter table entries alter column id restart with 100001")
    lean, handlers = Service(database, tmp_path), Service(database, tmp_path, name="node-2")
    handlers.door = handlers.door.application
    for node in (lean, handlers):
        io_loop.run_sync(node.start)
    yield Way(lean, "lean"), Way(handlers, "full")
    for node in (lean, handlers):
        io_loop.run_sync(node.stop)


async def compare(ways: tuple[Way, Way], request: bytes, answers: int = 1) -> Exchange:
    """What the lean path answers, after it was found to be what the handlers answer."""
    (lean, ledger), (handlers, other_ledger) = [await way.send(request, answers) for way in ways]
    assert lean == handlers, request[:300]
    assert ledger == other_ledger, request[:300]
    return lean


def statuses(found: Exchange) -> list[int]:
    return [int(answer.start.split(" ")[1]) for answer in found.answers]


# Bodies

RIGHT = [
    GOOD,
    NAMED,
    b" " + GOOD + b"\r\n",
    GOOD.ljust(LIMIT),
    GOOD.replace(b"userId", b"\\u0075serId"),
]
REFUSED = [
    (TOO_MUCH, [409, 200]),
    (b'{"userId":9007199254740991,"amount":1}', [404, 404]),
    (f'{{"userId":{USER},"amount":9007199254740991}}'.encode(), [409, 409]),
]
INVALID = [
    b'{"userId":1,"amount":"2"}',
    b'{"userId":1,"amount":2.0}',
    b'{"userId":1,"amount":1e3}',
    b'{"userId":1,"amount":true}',
    b'{"userId":1,"amount":null}',
    b'{"userId":1,"amount":-2}',
    b'{"userId":1,"amount":0}',
    b'{"userId":1,"amount":9007199254740992}',
    b'{"userId":1,"amount":%s}' % (b"9" * 60_000),
    b'{"userId":1,"amount":[2]}',
    b'{"userId":"1","amount":2}',
    b'{"userId":1}',
    b"{}",
    b'{"userId":1,"amount":2,"amount":2}',
    b'{"userId":1,"amount":2,"note":"x"}',
    b'{"userId":1,"amount":2,"requestId":"x:y"}',
    b'{"userId":1,"amount":2,"requestId":null}',
    b'{"userId":1,"amount":2,"\\ud800":1}',
    b"[1,2]",
    b"null",
]
NOT_JSON = [
    b"",
    b" ",
    b"{",
    b"{'userId':1,'amount':2}",
    b'{"userId":1,"amount":2}{}',
    b'{"userId":1,"amount":NaN}',
    b'\xef\xbb\xbf{"userId":1,"amount":2}',
    b'{"userId":1,"amount":2,"\xff":1}',
    b"[" * 60_000,
    b"userId=1&amount=2",
]
ROUTES = ("/withdraw", "/deposit")


@pytest.mark.gen_test(timeout=60)
async def test_right_bodies_get_the_same_receipts(ways):
    for path in ROUTES:
        for body in RIGHT:
            found = await compare(ways, post(body, path=path))
            assert (statuses(found), found.is_kept) == ([200], True), body[:80]


@pytest.mark.gen_test(timeout=60)
async def test_refusals_of_the_database_are_the_same_documents(ways):
    for body, expected in REFUSED:
        for path, status in zip(ROUTES, expected, strict=True):
            assert statuses(await compare(ways, post(body, path=path))) == [status]


@pytest.mark.gen_test(timeout=60)
async def test_wrong_bodies_are_the_same_documents(ways):
    for path in ROUTES:
        for bodies, status in ((INVALID, 422), (NOT_JSON, 400)):
            for body in bodies:
                found = await compare(ways, post(body, path=path))
                assert (statuses(found), found.is_kept) == ([status], True), body[:80]


# Keys


@pytest.mark.gen_test(timeout=60)
async def test_right_keys_are_replayed_with_the_same_answers(ways):
    longest = f"Idempotency-Key: {KEY}".ljust(17 + 255 - 41 + len(KEY), "k")
    for line in (WITH_KEY, f'Idempotency-Key: "{KEY}"', f"idempotency-key:{KEY}", longest):
        for body, status in ((GOOD, 200), (NAMED, 200), (TOO_MUCH, 409)):
            first, again = (await compare(ways, post(body, line) * 2, 2)).answers
            assert first.start.split(" ")[1] == again.start.split(" ")[1] == str(status), line
            assert first.body == again.body
            assert (first.header("Idempotency-Replayed"), again.header("Idempotency-Replayed")) == (
                None,
                "true",
            )


@pytest.mark.gen_test(timeout=60)
async def test_a_key_for_something_else_is_the_same_refusal(ways):
    for other in (post(TOO_MUCH, WITH_KEY), post(GOOD, WITH_KEY, path="/deposit")):
        found = await compare(ways, post(GOOD, WITH_KEY) + other, 2)
        assert statuses(found) == [200, 422]
        assert b"idempotency_key_reused" in found.answers[1].body
    found = await compare(ways, post(NAMED) + post(NAMED, path="/deposit"), 2)
    assert statuses(found) == [200, 422]


@pytest.mark.gen_test(timeout=60)
async def test_wrong_keys_are_the_same_refusals(ways):
    for lines in (
        ["Idempotency-Key:"],
        ["Idempotency-Key: a b"],
        ["Idempotency-Key: " + "k" * 256],
        ['Idempotency-Key: "a'],
        ["Idempotency-Key: \xe9"],
        ["Idempotency-Key: \xa0a"],
        ["Idempotency-Key: a", "Idempotency-Key: a"],
    ):
        for body in (GOOD, b"{"):
            found = await compare(ways, post(body, *lines))
            assert (statuses(found), found.is_kept) == ([400], True), lines
            assert b"invalid_idempotency_key" in found.answers[0].body


# Heads


@pytest.mark.gen_test(timeout=60)
async def test_the_form_of_a_head_makes_no_difference(ways):
    length = f"content-length:{len(GOOD)}"
    for lines in (
        ["POST /withdraw HTTP/1.1", "host:x", "content-type:application/json", length],
        ["POST /withdraw HTTP/1.1", "HOST: x", "CONTENT-TYPE: APPLICATION/JSON", length.upper()],
        ["POST /withdraw HTTP/1.1", "Host: x:80", "Content-Type:  application/json ; charset=utf-8 ", length],
        [
            "POST /withdraw HTTP/1.1",
            "Host: [::1]:80",
            "Content-Type: application/json",
            f"{length}, {len(GOOD)}",
        ],
        ["POST /withdraw HTTP/1.1", "Host: x", "Content-Type: application/json", length, length],
        [
            "POST /withdraw HTTP/1.1",
            "Host: x",
            "Content-Type: application/json",
            f"Content-Length: 000{len(GOOD)}",
        ],
        [
            "POST /withdraw HTTP/1.1",
            "Host: x",
            "Content-Type: application/json",
            length,
            "Content-Encoding: identity",
        ],
        [
            "POST /withdraw HTTP/1.1",
            "Host: x",
            "Content-Type: application/json",
            length,
            "Accept-Encoding: gzip",
        ],
    ):
        assert statuses(await compare(ways, raw(*lines, body=GOOD))) == [200], lines


@pytest.mark.gen_test(timeout=60)
async def test_other_methods_paths_and_queries_are_the_same_answers(ways):
    for method in ("GET", "HEAD", "PUT", "PATCH", "DELETE", "BREW", "post"):
        for path in (*ROUTES, "/Withdraw", "/withdraw/", "//withdraw", "/%77ithdraw"):
            status = 405 if path in ROUTES else 404
            assert statuses(await compare(ways, raw(f"{method} {path} HTTP/1.1", "Host: x"))) == [status]
    for path in ROUTES:
        assert statuses(await compare(ways, raw(f"OPTIONS {path} HTTP/1.1", "Host: x"))) == [204]
        put = post(GOOD, path=path).replace(b"POST", b"PUT")
        assert statuses(await compare(ways, put)) == [405]
    for path, status in (
        ("/withdraw?", 200),
        ("/withdraw?x=1", 422),
        ("/withdraw?x=1&x=2", 422),
        ("/withdraw?%ff=1", 400),
        ("/withdraw#x", 404),
        ("http://x/withdraw", 404),
    ):
        assert statuses(await compare(ways, post(GOOD, path=path))) == [status], path


@pytest.mark.gen_test(timeout=60)
async def test_other_kinds_of_bodies_are_the_same_refusals(ways):
    length = f"Content-Length: {len(GOOD)}"
    for lines in (
        [length],
        [length, "Content-Type: text/plain"],
        [length, "Content-Type:"],
        [length, "Content-Type: application/json, application/json"],
        [length, "Content-Type: application/json", "Content-Type: application/json"],
        [length, "Content-Type: application/json", "Content-Encoding: gzip"],
        [length, "Content-Type: multipart/form-data; boundary=x"],
    ):
        found = await compare(ways, raw("POST /withdraw HTTP/1.1", "Host: x", *lines, body=GOOD))
        assert (statuses(found), found.is_kept) == ([415], True), lines
    for lines in ([], ["Content-Length: 0"], ["Content-Type: application/json"]):
        found = await compare(ways, raw("POST /withdraw HTTP/1.1", "Host: x", *lines))
        assert (statuses(found), found.is_kept) == ([400], True), lines


@pytest.mark.gen_test(timeout=60)
async def test_hosts_that_http_forbids_are_refused_on_both_ways(ways):
    for host in ([], ["Host: a", "Host: a"], ["Host: a,b"], ["Host: a b"], ["Host: a/b"], ["Host: a@b"]):
        head = [*host, "Content-Type: application/json", f"Content-Length: {len(GOOD)}"]
        found = await compare(ways, raw("POST /withdraw HTTP/1.1", *head, body=GOOD))
        assert (statuses(found), found.is_kept) == ([400], False), host


@pytest.mark.gen_test(timeout=60)
async def test_lengths_that_http_forbids_are_refused_on_both_ways(ways):
    for lines in (
        ["Content-Length: x"],
        ["Content-Length: -1"],
        [f"Content-Length: +{len(GOOD)}"],
        ["Content-Length:"],
        ["Content-Length: \xb2"],
        [f"Content-Length: {len(GOOD)}, 1"],
        [f"Content-Length: {len(GOOD)}", "Content-Length: 1"],
        [f"Content-Length: {len(GOOD)}", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: gzip, chunked"],
    ):
        head = ["POST /withdraw HTTP/1.1", "Host: x", "Content-Type: application/json", *lines]
        found = await compare(ways, raw(*head, body=GOOD))
        assert (statuses(found), found.is_kept) == ([400], False), lines


# How bodies come


@pytest.mark.gen_test(timeout=60)
async def test_bodies_that_are_too_large_are_refused_alike(ways):
    large = GOOD.ljust(LIMIT + 1)
    assert statuses(await compare(ways, post(large))) == [413]
    head = ["POST /withdraw HTTP/1.1", "Host: x", "Content-Type: application/json"]
    for length in (1_000_000_000, 10**30):
        assert statuses(await compare(ways, raw(*head, f"Content-Length: {length}"))) == [413]
    chunks = b"%x\r\n%s\r\n0\r\n\r\n" % (len(large), large)
    assert statuses(await compare(ways, raw(*head, "Transfer-Encoding: chunked", body=chunks))) == [413]


@pytest.mark.gen_test(timeout=60)
async def test_bodies_in_chunks_and_after_a_word_to_go_on_are_read_alike(ways):
    head = ["POST /withdraw HTTP/1.1", "Host: x", "Content-Type: application/json"]
    chunks = b"1\r\n{\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(GOOD) - 1, GOOD[1:])
    found = await compare(ways, raw(*head, "Transfer-Encoding: chunked", body=chunks))
    assert (statuses(found), found.is_kept) == ([200], True)
    for body, expected in ((GOOD, [100, 200]), (b"{}", [100, 422])):
        assert statuses(await compare(ways, post(body, "Expect: 100-continue"), 2)) == expected
    assert statuses(await compare(ways, post(GOOD, "Expect: something"))) == [200]
    refused = post(GOOD, "Expect: 100-continue", "Content-Encoding: gzip").removesuffix(GOOD)
    assert statuses(await compare(ways, refused)) == [415]


@pytest.mark.gen_test(timeout=60)
async def test_requests_in_a_row_are_answered_in_order_on_both_ways(ways):
    row = [
        (post(GOOD), 200),
        (post(b"{"), 400),
        (post(TOO_MUCH, path="/deposit"), 200),
        (post(GOOD, path="/nowhere"), 404),
        (post(TOO_MUCH), 200),
        (post(NAMED), 200),
        (post(NAMED), 200),
        (raw("GET /withdraw HTTP/1.1", "Host: x"), 405),
        (post(TOO_MUCH), 409),
    ]
    found = await compare(ways, b"".join(request for request, _ in row), len(row))
    assert (statuses(found), found.is_kept) == ([status for _, status in row], True)


@pytest.mark.gen_test(timeout=60)
async def test_connections_are_kept_or_closed_alike(ways):
    for request, is_kept in (
        (post(GOOD), True),
        (post(GOOD, "Connection: keep-alive"), True),
        (post(GOOD, "Connection: close"), False),
        (post(GOOD, "connection: CLOSE"), False),
        (post(GOOD, version="1.0"), False),
        (post(GOOD, "Connection: keep-alive", version="1.0"), True),
        (post(GOOD, "Connection: keep-alive", version="1.0").replace(b"Host: x\r\n", b""), True),
        (post(b"{", "Connection: close"), False),
        (post(b"{", version="1.0"), False),
        (post(TOO_MUCH, "Connection: close"), False),
    ):
        found = await compare(ways, request)
        assert found.is_kept == is_kept, request
        assert len(found.answers) == 1


@pytest.mark.gen_test(timeout=60)
async def test_an_unfinished_request_moves_nothing_on_both_ways(ways):
    for request in (post(GOOD)[:-1], post(GOOD).removesuffix(GOOD), post(GOOD)[:30]):
        for way in ways:
            user_id = (await way.node.bank.open_account(OPENING)).account.id
            _, writer = await way.node.connect()
            writer.write(request.replace(USER.encode(), str(user_id).encode()))
            await writer.drain()
            writer.close()
            await writer.wait_closed()
            assert (await way.node.bank.account(user_id)).balance == OPENING


# What is counted


@pytest.mark.gen_test(timeout=60)
async def test_both_ways_count_the_same(ways):
    for request in (
        *(post(body, path=path) for path in ROUTES for body in (GOOD, TOO_MUCH, b"{", b"{}")),
        post(GOOD, path="/withdraw?x=1"),
        post(GOOD, path="/nowhere"),
        post(GOOD, "Idempotency-Key: a b"),
        post(GOOD, "Content-Encoding: gzip"),
        raw("GET /deposit HTTP/1.1", "Host: x"),
        raw("OPTIONS /withdraw HTTP/1.1", "Host: x"),
        post(GOOD.ljust(LIMIT + 1)),
    ):
        await compare(ways, request)
    lean, handlers = [await counts(way.node) for way in ways]
    assert lean == handlers
    assert lean['method="POST",route="/withdraw",status="200"'] == 1
    assert lean['method="POST",route="/deposit",status="200"'] == 2


async def counts(node: Service) -> dict[str, float]:
    """How many requests of each kind a node has counted."""
    text = (await node.call("GET", "/metrics")).body.decode()
    found = re.findall(r"ringfence_http_request_seconds_count\{(.*)\} (.*)", text)
    return {labels: float(number) for labels, number in found if "/metrics" not in labels}


# Clients that go away


@pytest.mark.gen_test(timeout=60)
async def test_a_request_whose_client_has_gone_before_it_was_sent_is_not_executed(ways):
    for way in ways:
        await leave_before_it_is_sent(way.node)
    lean, handlers = [await counts(way.node) for way in ways]
    assert lean == handlers


async def leave_before_it_is_sent(node: Service) -> None:
    gone, stays = str(uuid4()), str(uuid4())
    await node.bank.move("withdraw", Movement(1, 1))
    with frozen_backend(node):
        under_way = node.bank.move("withdraw", Movement(1, 1))
        await until(lambda: node.batcher._sent)
        _, leaving = await send_withdrawal(node, gone)
        reader, staying = await send_withdrawal(node, stays)
        await until(lambda: node.batcher.waiting.movements == 2)
        leaving.close()
        await until(lambda: not all(one.wish.is_wanted() for one in node.batcher.waiting))
    await under_way
    assert (await read_raw(reader)).start == "HTTP/1.1 200 OK"
    staying.close()
    assert (await node.call("GET", f"/requests/{stays}")).status == 200
    assert (await node.call("GET", f"/requests/{gone}")).is_problem(404, "no_movement")


@pytest.mark.gen_test(timeout=60)
async def test_a_request_whose_client_goes_after_it_was_sent_is_executed(ways):
    for way in ways:
        await leave_after_it_was_sent(way.node)
    lean, handlers = [await counts(way.node) for way in ways]
    assert lean == handlers


async def leave_after_it_was_sent(node: Service) -> None:
    request_id = str(uuid4())
    await node.bank.move("withdraw", Movement(1, 1))
    with frozen_backend(node):
        _, leaving = await send_withdrawal(node, request_id)
        await until(lambda: node.batcher._sent)
        (sent,) = node.batcher._sent
        leaving.close()
        await until(lambda: not sent.wish.is_wanted())
    await node.batcher.drained()
    assert (await node.call("GET", f"/requests/{request_id}")).status == 200


async def send_withdrawal(
    node: Service, request_id: str
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await node.connect()
    writer.write(post(b'{"userId":1,"amount":1,"requestId":"%s"}' % request_id.encode()))
    return reader, writer
