"""Who may ask by which name, and how often: without a network or a clock."""

import pytest
from pydantic import ValidationError
from tornado.httputil import HTTPHeaders

from server.settings import Http
from server.settings.http import Rate, parse_rate
from server.web import edge
from server.web.edge import Edge, Hosts, Limiter, RateLimitedError, client_of, name_in


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_addresses_localhost_and_own_names_are_taken_and_others_are_not() -> None:
    hosts = Hosts(Http(host="bank.internal", allowed_hosts=("Pay.example", ".shop.example")))
    for host in (
        None, "", "127.0.0.1", "127.0.0.1:8000", "10.1.2.3:80", "[::1]:8000", "[fe80::1%eth0]", "localhost",
        "LOCALHOST:8000", "a.localhost", "localhost.", "bank.internal:8000", "pay.example", "x.y.shop.example",
    ):  # fmt: skip
        assert hosts.takes(host), host
    for host in (
        "evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "notpay.example", "shop.example",
        "1.2.3", "0x7f000001", "evil.example:127", "[evil.example]", "pay.example.evil.example", "127.1",
    ):  # fmt: skip
        assert not hosts.takes(host), host
    assert Hosts(Http(allowed_hosts=("*",))).takes("evil.example")


def test_the_port_is_no_part_of_a_name() -> None:
    assert [name_in(host) for host in ("A.b:80", "a.b.", "[::1]:80", "a:b", "::1")] == [
        "a.b",
        "a.b",
        "::1",
        "a:b",
        ":",
    ]


def test_a_burst_is_let_through_then_as_many_as_come_back_in_time() -> None:
    clock = Clock()
    limiter = Limiter(Rate(10, 5), clock)
    told = [limiter.take("a")["RateLimit"] for _ in range(5)]
    assert told[0] == '"default";r=4;t=1' and told[-1].startswith('"default";r=0;')
    with pytest.raises(RateLimitedError) as refused:
        limiter.take("a")
    assert refused.value.headers["Retry-After"] == "1"
    assert refused.value.headers["RateLimit-Policy"] == '"default";q=5;w=1'
    limiter.take("b")  # another client's own
    for _ in range(20):
        clock.now += 0.1
        limiter.take("a")
        with pytest.raises(RateLimitedError):
            limiter.take("a")
    clock.now += 3600
    assert limiter.take("a")["RateLimit"].startswith('"default";r=4;')


def test_a_refused_request_costs_nothing() -> None:
    clock = Clock()
    limiter = Limiter(Rate(1, 1), clock)
    limiter.take("a")
    for _ in range(100):
        with pytest.raises(RateLimitedError):
            limiter.take("a")
    clock.now += 1
    limiter.take("a")


def test_clients_are_forgotten_beyond_a_number_the_least_recent_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(edge, "CLIENTS_MAX", 100)
    limiter = Limiter(Rate(1, 1), Clock())
    for number in range(1000):
        limiter.take(f"{number}")
    assert len(limiter) == 100
    with pytest.raises(RateLimitedError):
        limiter.take("999")
    limiter.take("0")


def test_one_client_is_an_ipv4_address_or_an_ipv6_network() -> None:
    assert client_of("2001:db8:1:2:3::4") == client_of("2001:db8:1:2:ffff::1") == "2001:db8:1:2::/64"
    assert client_of("10.0.0.1") != client_of("10.0.0.2")
    assert client_of("no address") == client_of("")


class Context:
    remote_ip = "10.0.0.9"
    protocol = "http"

    def __init__(self, peer: str) -> None:
        self.peer = self.remote_ip = peer

    def _unapply_xheaders(self) -> None:
        self.remote_ip, self.protocol = self.peer, "http"


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("10.0.0.9", "203.0.113.7", "203.0.113.7"),
        ("10.0.0.9", "6.6.6.6, 203.0.113.7, 10.1.1.1", "203.0.113.7"),
        ("10.0.0.9", "10.5.5.5", "10.5.5.5"),
        ("10.0.0.9", "203.0.113.7, nonsense", "10.0.0.9"),
        ("10.0.0.9", "", "10.0.0.9"),
        ("192.0.2.1", "203.0.113.7", "192.0.2.1"),
        ("10.0.0.9", ", ".join(["203.0.113.7"] + ["10.0.0.1"] * 30), "10.0.0.1"),
    ],
)
def test_what_was_forwarded_counts_as_far_as_trusted_proxies_wrote_it(peer, forwarded, client) -> None:
    met, context = Edge(Http(trusted_proxies=("10.0.0.0/8",))), Context(peer)
    met.meet(HTTPHeaders({"X-Forwarded-For": forwarded, "X-Forwarded-Proto": "https"}), context)
    assert context.remote_ip == client
    assert context.protocol == ("https" if peer.startswith("10.") else "http")
    met.meet(HTTPHeaders(), context)
    assert (context.remote_ip, context.protocol) == (peer, "http")


def test_rates_are_read_and_wrong_settings_are_named() -> None:
    assert [parse_rate(text) for text in ("100/s", "60/min", "100/s burst 200")] == [
        Rate(100, 100), Rate(1, 60), Rate(100, 200)
    ]  # fmt: skip
    for wrong in (
        {"rate_limit": "0/s"}, {"rate_limit": "fast"}, {"rate_limit": "1/s burst 0"},
        {"trusted_proxies": ("10.0.0.1/8",)}, {"trusted_proxies": ("proxy",)}, {"allowed_hosts": ("a b",)},
    ):  # fmt: skip
        with pytest.raises(ValidationError):
            Http(**wrong)
