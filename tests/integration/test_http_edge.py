"""Names, proxies and rates, as clients meet them on both ways."""

import asyncio
import ssl
from pathlib import Path

import pytest
from certificates import Authority
from http_service import Service, read_answer
from raw_http import exchange, raw

from server.settings import Http

BODY = b'{"userId":1,"amount":1}'


@pytest.fixture
def make(io_loop, database, tmp_path: Path):
    made: list[Service] = []

    def start(**settings) -> Service:
        one = Service(database, tmp_path, http=Http(**settings))
        io_loop.run_sync(one.start)
        made.append(one)
        return one

    yield start
    for one in made:
        io_loop.run_sync(one.stop)


def withdrawal(host: str, *lines: str) -> bytes:
    head = [
        "POST /withdraw HTTP/1.1",
        f"Host: {host}",
        "Content-Type: application/json",
        "Content-Length: 23",
    ]
    return raw(*head, *lines, body=BODY)


@pytest.fixture
def plain(make) -> Service:
    return make()


@pytest.mark.gen_test
async def test_a_rebound_name_is_refused_on_both_ways_and_moves_nothing(plain):
    for host in ("evil.example", f"evil.example:{plain.port}", "localhost.evil.example"):
        for lines in ((), ("Content-Encoding: identity",)):  # the second goes to the handlers
            (answer,) = (await exchange(plain.port, withdrawal(host, *lines))).answers
            assert " 421 " in answer.start and b'"host_not_allowed"' in answer.body
        for path in ("/", "/users/1", "/docs", "/events", "/healthz", "/metrics"):
            (answer,) = (await exchange(plain.port, raw(f"GET {path} HTTP/1.1", f"Host: {host}"))).answers
            assert " 421 " in answer.start, path
    assert (await plain.get("/users/1"))["balance"] == 10_000
    for host in ("localhost", f"127.0.0.1:{plain.port}", "[::1]", "192.0.2.7"):
        (answer,) = (await exchange(plain.port, withdrawal(host))).answers
        assert " 200 " in answer.start


@pytest.fixture
def limited(make) -> Service:
    return make(rate_limit="1/h burst 5", trusted_proxies=("127.0.0.0/8",))


@pytest.mark.gen_test
async def test_who_asks_too_often_gets_a_429_that_says_when_to_come_back(limited):
    for left in (4, 3, 2, 1, 0):
        answer = await limited.call("POST", "/withdraw", {"userId": 1, "amount": 1})
        assert answer.status == 200
        assert answer.headers["RateLimit-Policy"] == '"default";q=5;w=18000'
        assert answer.headers["RateLimit"].startswith(f'"default";r={left};t=')
    for method, path in (("POST", "/withdraw"), ("GET", "/users/1"), ("GET", "/nowhere"), ("PUT", "/tasks")):
        body = {"userId": 1, "amount": 1} if method == "POST" else None
        answer = await limited.call(method, path, body)
        assert answer.is_problem(429, "rate_limited"), path
        assert 0 < int(answer.headers["Retry-After"]) <= 3600
        assert answer.headers["RateLimit"].startswith('"default";r=0;')
    assert (await limited.call("GET", "/healthz")).status == 200
    other = {"X-Forwarded-For": "203.0.113.7"}
    answer = await limited.call("GET", "/users/1", headers=other)
    assert (answer.status, answer.json["balance"]) == (200, 9_995)


@pytest.fixture
def unlimited(make) -> Service:
    return make(rate_limit="1/h burst 5")


@pytest.mark.gen_test
async def test_nobody_gets_another_bucket_by_a_header_of_his_own(unlimited):
    statuses = []
    for number in range(8):
        headers = {
            "X-Forwarded-For": f"203.0.113.{number}",
            "Authorization": f"Bearer rf_{number:012x}_{'a' * 43}",
        }
        statuses.append((await unlimited.call("GET", "/users/1", headers=headers)).status)
    assert statuses[5:] == [429] * 3


@pytest.mark.gen_test
async def test_a_request_line_with_a_whole_address_is_taken_and_its_host_counts(plain):
    def get(target: str, host: str = "localhost") -> bytes:
        return raw(f"GET {target} HTTP/1.1", f"Host: {host}")

    for target in ("http://localhost/users/1", f"HTTP://127.0.0.1:{plain.port}/users/1?"):
        (answer,) = (await exchange(plain.port, get(target, "evil.example"))).answers
        assert " 200 " in answer.start and b'"balance":10000' in answer.body
    (index,) = (await exchange(plain.port, get("http://localhost"))).answers
    assert b'"service":"ringfence"' in index.body
    for target, status in (("http://evil.example/users/1", 421), ("http://localhost@evil.example/", 400)):
        (answer,) = (await exchange(plain.port, get(target))).answers
        assert f" {status} " in answer.start
    for target in ("http:///users/1", "ftp://localhost/users/1", "localhost/users/1"):
        (answer,) = (await exchange(plain.port, get(target))).answers
        assert " 404 " in answer.start
    moved = withdrawal("evil.example").replace(b"POST /withdraw", b"POST http://localhost/withdraw")
    (answer,) = (await exchange(plain.port, moved)).answers
    assert " 200 " in answer.start


@pytest.fixture
def sealed(make, tmp_path: Path) -> tuple[Service, ssl.SSLContext]:
    """A service that speaks TLS and soon loses its patience, and what its clients trust."""
    authority = Authority(tmp_path / "tls")
    authority.issue()
    one = make(tls_certificate=authority.certificate, tls_key=authority.key, idle_timeout="1s")
    return one, ssl.create_default_context(cafile=str(authority.root))


@pytest.mark.gen_test
async def test_handshakes_that_never_end_are_closed_while_others_are_served(sealed):
    one, trust = sealed
    silent = [await one.connect() for _ in range(40)]
    for _, writer in silent[::2]:
        writer.write(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")  # the beginning of a greeting
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", one.port, ssl=trust, server_hostname="localhost"
    )
    writer.write(raw("GET /healthz HTTP/1.1", "Host: localhost"))
    assert (await read_answer(reader)).status == 200
    async with asyncio.timeout(20):
        # Each is closed: the read ends with nothing, or with the system's word for it.
        ends = await asyncio.gather(*(reader.read() for reader, _ in silent), return_exceptions=True)
    assert {end if isinstance(end, bytes) else type(end) for end in ends} <= {b"", ConnectionResetError}
    for _, one_writer in [*silent, (reader, writer)]:
        one_writer.close()
