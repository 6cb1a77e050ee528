"""What HTTP itself asks of the server: limits, methods, connections, health and figures."""

import asyncio
import json
import os

import pytest
from http_service import JSON, read_answer

from server.web import health

LIMIT = 64 * 1024
GOOD = b'{"userId":1,"amount":2}'


def head(*lines: str, path: str = "/withdraw") -> bytes:
    """The head of a POST with these further lines."""
    return "\r\n".join(
        [f"POST {path} HTTP/1.1", "Host: x", "Content-Type: application/json", *lines, "", ""]
    ).encode()


async def balance(service) -> int:
    return (await service.get("/users/1"))["balance"]


# Bodies


@pytest.mark.gen_test
async def test_a_body_of_exactly_the_limit_is_read(service):
    answer = await service.call("POST", "/withdraw", GOOD.ljust(LIMIT), JSON)
    assert answer.status == 200


@pytest.mark.parametrize("size", [LIMIT + 1, 100_000, 1_000_000, 10_000_000])
@pytest.mark.gen_test(timeout=30)
async def test_a_body_above_the_limit_is_a_413_that_a_plain_client_can_read(service, size):
    answer = await service.call("POST", "/withdraw", GOOD.ljust(size), JSON)
    assert answer.is_problem(413, "body_too_large")
    assert answer.json["limitBytes"] == LIMIT
    assert await balance(service) == 10_000


@pytest.mark.parametrize("length", ["1000000000", "9" * 30])
@pytest.mark.gen_test
async def test_a_gigabyte_that_is_only_announced_is_answered_at_once(service, length):
    reader, writer = await service.connect()
    writer.write(head(f"Content-Length: {length}"))
    answer = await read_answer(reader)
    assert answer.is_problem(413, "body_too_large")
    assert answer.headers["Connection"] == "close"
    writer.close()


@pytest.mark.parametrize("path", ["/withdraw", "/users/1", "/nowhere"])
@pytest.mark.gen_test(timeout=30)
async def test_chunks_without_end_are_answered_at_the_limit_and_cut_off(service, path):
    reader, writer = await service.connect()
    writer.write(head("Transfer-Encoding: chunked", path=path))
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    writer.write(chunk + chunk)
    answer = await read_answer(reader)
    assert answer.status in {404, 405, 413}
    assert answer.headers["Connection"] == "close"
    sent = 0
    with pytest.raises(OSError):
        while sent < 1_000_000_000:
            writer.write(chunk)
            await writer.drain()
            sent += len(chunk)
    assert sent < 100_000_000
    writer.close()
    assert await balance(service) == 10_000


@pytest.mark.gen_test
async def test_chunks_above_the_limit_that_end_are_a_413_and_change_nothing(service):
    reader, writer = await service.connect()
    padded = GOOD.ljust(LIMIT + 1)
    writer.write(head("Transfer-Encoding: chunked") + b"%x\r\n%s\r\n0\r\n\r\n" % (len(padded), padded))
    assert (await read_answer(reader)).is_problem(413, "body_too_large")
    assert await reader.read() == b""
    writer.close()
    assert await balance(service) == 10_000


@pytest.mark.gen_test
async def test_a_body_in_small_chunks_is_read(service):
    reader, writer = await service.connect()
    pieces = b"".join(b"1\r\n%c\r\n" % byte for byte in GOOD)
    writer.write(head("Transfer-Encoding: chunked") + pieces + b"0\r\n\r\n")
    assert (await read_answer(reader)).status == 200
    writer.close()


@pytest.mark.gen_test
async def test_who_expects_to_be_told_to_go_on_is_told_so(service):
    reader, writer = await service.connect()
    writer.write(head(f"Content-Length: {len(GOOD)}", "Expect: 100-continue"))
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
    writer.write(GOOD)
    assert (await read_answer(reader)).status == 200
    writer.close()


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (["Content-Length: 1000000"], 413),
        (["Content-Length: 5", "Content-Encoding: gzip"], 415),
    ],
)
@pytest.mark.gen_test
async def test_who_expects_to_be_told_is_refused_before_the_body(service, lines, status):
    reader, writer = await service.connect()
    writer.write(head(*lines, "Expect: 100-continue"))
    assert (await read_answer(reader)).status == status
    assert await reader.read() == b""
    writer.close()


@pytest.mark.gen_test
async def test_a_missing_content_type_is_a_415(service):
    reader, writer = await service.connect()
    writer.write(b"POST /withdraw HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(GOOD), GOOD))
    assert (await read_answer(reader)).is_problem(415, "unsupported_media_type")
    writer.close()
    assert await balance(service) == 10_000


@pytest.mark.gen_test
async def test_a_connection_lives_on_after_every_refusal_that_is_not_about_size(service):
    reader, writer = await service.connect()
    requests = [
        (head(f"Content-Length: {len(GOOD)}", path="/nowhere") + GOOD, 404),
        (head(f"Content-Length: {len(GOOD)}", path="/users/1") + GOOD, 405),
        (head(f"Content-Length: {len(GOOD)}", path="/withdraw?x=1") + GOOD, 422),
        (head("Content-Length: 1") + b"{", 400),
        (head(f"Content-Length: {len(GOOD)}", "Content-Encoding: br") + GOOD, 415),
        (head(f"Content-Length: {len(GOOD)}") + GOOD, 200),
    ]
    for request, status in requests:
        writer.write(request)
        answer = await read_answer(reader)
        assert (answer.status, answer.headers.get("Connection")) == (status, None)
    # All of them at once, on the same connection: the answers come in order.
    writer.write(b"".join(request for request, _ in requests))
    assert [(await read_answer(reader)).status for _ in requests] == [status for _, status in requests]
    writer.close()
    assert await balance(service) == 9996


@pytest.mark.gen_test
async def test_a_client_that_goes_away_in_the_middle_of_its_body_moves_nothing(service):
    _, writer = await service.connect()
    writer.write(head(f"Content-Length: {len(GOOD) + 1}") + GOOD)
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    assert await balance(service) == 10_000


@pytest.mark.gen_test(timeout=30)
async def test_memory_does_not_grow_with_the_bodies_that_are_thrown_away(service):
    def resident_bytes() -> int:
        with open("/proc/self/statm", encoding="ascii") as statm:  # noqa: PTH123
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    connections = [await service.connect() for _ in range(20)]
    for _, writer in connections:
        writer.write(head("Transfer-Encoding: chunked"))
    before = resident_bytes()
    for _ in range(60):
        for _, writer in connections:
            writer.write(chunk)
        await asyncio.gather(*(writer.drain() for _, writer in connections))
    for reader, writer in connections:
        assert (await read_answer(reader)).status == 413
        writer.close()
    # 20 bodies of 3.9 MB would be 79 MB.
    assert resident_bytes() - before < 40_000_000


# Paths and methods


@pytest.mark.gen_test
async def test_an_unknown_path_is_a_404_whatever_the_method(service):
    for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "BREW"):
        for path in ("/nowhere", "/users/", "/users/1/", "/withdraw/1", "//", "/Withdraw"):
            body = GOOD if method == "POST" else None
            answer = await service.call(method, path, body, JSON if body else {})
            assert answer.is_problem(404, "not_found"), (method, path)


@pytest.mark.gen_test
async def test_a_wrong_method_is_a_405_that_says_which_are_right(service):
    for method, path, allowed in (
        ("GET", "/withdraw", "POST, OPTIONS"),
        ("DELETE", "/users/1", "GET, HEAD, OPTIONS"),
        ("PUT", "/tasks", "GET, HEAD, OPTIONS"),
        ("PATCH", "/healthz", "GET, HEAD, OPTIONS"),
        ("BREW", "/users/1", "GET, HEAD, OPTIONS"),
    ):
        answer = await service.call(method, path)
        assert answer.is_problem(405, "method_not_allowed")
        assert answer.headers["Allow"] == allowed


@pytest.mark.gen_test
async def test_head_is_get_without_the_body(service):
    for path in ("/", "/users/1", "/users/1/entries", "/tasks", "/runs", "/nodes", "/healthz", "/readyz"):
        got, asked = await service.call("GET", path), await service.call("HEAD", path)
        assert (asked.status, asked.body) == (200, b"")
        assert asked.headers["Content-Type"] == got.headers["Content-Type"]
        assert asked.headers["Content-Length"] == str(len(got.body))
    assert (await service.call("HEAD", "/users/2")).status == 404
    assert (await service.call("HEAD", "/withdraw")).status == 405


@pytest.mark.gen_test
async def test_options_says_what_is_allowed(service):
    answer = await service.call("OPTIONS", "/withdraw")
    assert (answer.status, answer.headers["Allow"], answer.body) == (204, "POST, OPTIONS", b"")
    assert (await service.call("OPTIONS", "/users/1")).headers["Allow"] == "GET, HEAD, OPTIONS"


@pytest.mark.gen_test
async def test_the_server_does_not_tell_its_make(service):
    for path in ("/", "/nowhere"):
        assert (await service.call("GET", path)).headers["Server"] == "Ringfence"


@pytest.mark.gen_test
async def test_an_unchanged_answer_costs_a_304_to_who_has_it(service):
    first = await service.call("GET", "/users/1")
    headers = {"If-None-Match": first.headers["Etag"]}
    assert (await service.call("GET", "/users/1", headers=headers)).status == 304
    await service.call("POST", "/withdraw", {"userId": 1, "amount": 1})
    assert (await service.call("GET", "/users/1", headers=headers)).status == 200


# Health and figures


@pytest.mark.gen_test
async def test_the_index_lists_every_route_with_its_methods(service):
    index = await service.get("/")
    assert index["service"] == "ringfence"
    assert index["node"] == "node-1"
    assert index["routes"]["/withdraw"] == ["POST", "OPTIONS"]
    assert "/runs/{runId}/cancel" in index["routes"]
    assert "/" in index["routes"]


@pytest.mark.gen_test
async def test_a_node_with_reasons_is_not_ready_and_says_them(service):
    assert (await service.get("/readyz"))["status"] == "ready"
    service.reasons.append("this node is stopping")
    answer = await service.call("GET", "/readyz")
    assert answer.is_problem(503, "not_ready")
    assert answer.json["reasons"] == ["this node is stopping"]
    assert (await service.call("GET", "/healthz")).status == 200


@pytest.mark.gen_test
async def test_a_hundred_readiness_checks_at_once_ask_the_database_once(service, monkeypatch):
    monkeypatch.setattr(health, "PROBE_SECONDS_KEPT", 60.0)  # however slow this machine is
    await service.get("/users/1")
    before = service.database.statistics()["requests_num"]
    answers = await asyncio.gather(*(service.call("GET", "/readyz") for _ in range(100)))
    assert {answer.status for answer in answers} == {200}
    assert service.database.statistics()["requests_num"] == before + 1


@pytest.mark.gen_test
async def test_metrics_count_requests_by_route_method_and_status(service):
    await service.call("POST", "/withdraw", {"userId": 1, "amount": 1})
    await service.call("POST", "/withdraw", {"userId": 1, "amount": 1_000_000})
    await service.call("GET", "/users/77")
    await service.call("GET", "/not/a/route")
    await service.call("BREW", "/users/78")
    text = (await service.call("GET", "/metrics")).body.decode()
    for labels in (
        'method="POST",route="/withdraw",status="200"',
        'method="POST",route="/withdraw",status="409"',
        'method="GET",route="/users/{userId}",status="404"',
        'method="GET",route="none",status="404"',
        'method="other",route="/users/{userId}",status="405"',
    ):
        assert f"ringfence_http_request_seconds_count{{{labels}}} 1.0" in text
    assert "ringfence_database_connections 2.0" in text
    for sent in ("/users/77", "/not/a", "BREW"):
        assert sent not in text


@pytest.mark.gen_test
async def test_a_head_that_is_no_http_ends_its_connection_alone(service):
    reader, writer = await service.connect()
    writer.write(b"\x16\x03\x01 nonsense\r\n\r\n")
    await reader.read()
    writer.close()
    assert json.loads((await service.call("GET", "/healthz")).body)["status"] == "ok"


# Heads


@pytest.mark.parametrize("path", ["/withdraw", "/users/1"])
@pytest.mark.parametrize(
    "lines",
    [
        ["X-Large: " + "x" * 40_000],
        [f"X-Line-{number}: x" for number in range(101)],
        ["X: " + "x" * 1000] * 40,
    ],
)
@pytest.mark.gen_test
async def test_a_head_that_is_too_large_is_a_431_on_every_path(service, path, lines):
    reader, writer = await service.connect()
    writer.write(head(f"Content-Length: {len(GOOD)}", *lines, path=path) + GOOD)
    assert (await read_answer(reader)).is_problem(431, "head_too_large")
    writer.close()
    assert await balance(service) == 10_000


@pytest.mark.gen_test
async def test_a_head_without_end_is_cut_off(service):
    _, writer = await service.connect()
    writer.write(b"POST /withdraw HTTP/1.1\r\nX: ")
    with pytest.raises(OSError):
        for _ in range(10_000):
            writer.write(b"x" * 10_000)
            await writer.drain()
    writer.close()


@pytest.mark.gen_test
async def test_a_client_that_takes_no_json_is_told_so_before_anything_happens(service):
    for accept in ("text/xml", "text/html, image/png", "application/json;q=0", "application/xml;q=0.9"):
        for path in ("/withdraw", "/users/1", "/events"):
            method, body = ("POST", GOOD) if path == "/withdraw" else ("GET", None)
            answer = await service.call(method, path, body, {**(JSON if body else {}), "Accept": accept})
            assert answer.is_problem(406, "not_acceptable"), (accept, path)
    assert await balance(service) == 10_000


@pytest.mark.gen_test
async def test_a_client_that_takes_json_among_others_gets_it(service):
    for accept in (
        "*/*",
        "application/json",
        "Application/JSON; charset=utf-8",
        "application/*",
        "text/html, application/xhtml+xml, */*;q=0.8",
        "text/html;q=1.0, application/json;q=0.001",
        "",
    ):
        assert (await service.call("POST", "/withdraw", GOOD, {**JSON, "Accept": accept})).status == 200, (
            accept
        )
        assert (await service.call("GET", "/users/1", headers={"Accept": accept})).status == 200, accept
