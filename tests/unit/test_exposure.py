"""Whether others than this host can reach what is listened on, and what follows from it."""

import socket
from pathlib import Path

import pytest

from server.exposure import are_exposed, are_tokens_required, is_loopback, why_refused
from server.settings import Settings
from server.settings.http import Http
from server.settings.sections import Security


def settings(host: str = "127.0.0.1", tokens: str = "auto") -> Settings:
    return Settings(home=Path.cwd(), source="test", http=Http(host=host), security=Security(tokens=tokens))


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.8.7", "::1", "::1%lo"])
def test_loopback_addresses_are_reached_from_this_host_alone(address: str) -> None:
    assert is_loopback(address)


@pytest.mark.parametrize(
    "address", ["0.0.0.0", "::", "10.0.0.1", "192.0.2.7", "fe80::1%eth0", "nonsense", ""]
)
def test_any_other_address_counts_as_reached_from_elsewhere_doubtful_ones_too(address: str) -> None:
    assert not is_loopback(address)


def test_what_counts_is_where_a_socket_really_listens(tmp_path: Path) -> None:
    with socket.socket() as inner, socket.socket() as outer, socket.socket(socket.AF_UNIX) as local:
        inner.bind(("127.0.0.1", 0))
        outer.bind(("0.0.0.0", 0))  # and nobody listens on it
        local.bind(str(tmp_path / "socket"))
        assert not are_exposed([inner, local])
        assert are_exposed([inner, outer])


@pytest.mark.parametrize(
    ("host", "tokens", "is_required"),
    [
        ("127.0.0.1", "auto", False),
        ("localhost", "auto", False),
        ("127.0.0.1", "required", True),
        ("0.0.0.0", "auto", True),
        ("", "auto", True),
        ("no-such-host.invalid", "auto", True),
    ],
)
def test_tokens_are_required_beyond_loopback_or_where_the_settings_say_so(
    host: str, tokens: str, is_required: bool
) -> None:
    assert are_tokens_required(settings(host, tokens)) == is_required


def test_who_names_proxies_says_that_requests_come_from_elsewhere() -> None:
    behind = Settings(home=Path.cwd(), source="test", http=Http(trusted_proxies=["127.0.0.1"]))
    assert are_tokens_required(behind)
    assert why_refused(behind).startswith("http.trusted_proxies hand on what comes from other hosts")


def test_who_is_refused_learns_why_and_how_to_make_a_token() -> None:
    assert "http.host is 0.0.0.0" in why_refused(settings("0.0.0.0"))
    said = why_refused(settings(tokens="required"))
    assert said.startswith("security.tokens is required") and said.endswith("token create --scope admin")
