"""A whole service that speaks TLS on its own and on its shared ports, while its certificate is renewed."""

import json
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
from certificates import Authority
from service import Service, until

from server.errors import ConfigurationError
from server.web.tls import Certificate


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    made = Authority(tmp_path / "tls")
    made.issue()
    return made


class Client:
    """One connection over TLS that trusts the authority alone."""

    def __init__(self, port: int, authority: Authority) -> None:
        context = ssl.create_default_context(cafile=str(authority.root))
        raw = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.tls = context.wrap_socket(raw, server_hostname="localhost")

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.tls.close()

    @property
    def serial(self) -> int:
        return int(self.tls.getpeercert()["serialNumber"], 16)

    def ask(self, method: str, path: str, body: bytes = b"") -> tuple[int, Any]:
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n"
        if body:
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        self.tls.sendall(f"{head}\r\n".encode() + body)
        with self.tls.makefile("rb") as answer:
            status = int(answer.readline().split()[1])
            length = 0
            while line := answer.readline().strip():
                name, _, value = line.partition(b":")
                length = int(value) if name.lower() == b"content-length" else length
            return status, json.loads(answer.read(length))


def serials(ports: list[int], authority: Authority) -> set[int]:
    found = set()
    for port in ports:
        with Client(port, authority) as client:
            found.add(client.serial)
    return found


def test_every_port_speaks_tls_and_shows_a_renewed_certificate_to_new_handshakes(service, authority) -> None:
    service.environment |= {
        "RINGFENCE_HTTP__TLS_CERTIFICATE": str(authority.certificate),
        "RINGFENCE_HTTP__TLS_KEY": str(authority.key),
    }
    service.start()
    assert f"https://127.0.0.1:{service.port}" in service.said()
    ports = [service.port + number for number in range(service.instances + 1)]
    assert serials(ports, authority) == {1}
    # Commands find and trust their own installation.
    done = service.run("tasks", "--json")
    assert done.returncode == 0, done.stderr
    burst_over_tls(service, authority)
    with Client(service.port, authority) as kept:
        status, receipt = kept.ask("POST", "/withdraw", b'{"userId":1,"amount":250}')
        assert (status, receipt["balance"]) == (200, 9_750)
        renew(service, authority, ports)
        assert kept.ask("GET", "/users/1")[0] == 200  # what was open goes on


def burst_over_tls(service: Service, authority: Authority) -> None:
    """A burst checks the certificate, by the authority that it is told."""
    there = f"https://localhost:{service.port}"
    words = ("--url", there, "--requests", "300", "--balance", "301", "--json")
    done = service.run("burst", *words, "--ca-file", str(authority.root))
    verdict = json.loads(done.stdout)
    assert (done.returncode, verdict["correct"], verdict["succeeded"]) == (0, True, 150), done.stderr
    stranger = Authority(authority.folder / "stranger")
    refused = service.run("burst", *words, "--ca-file", str(stranger.root))
    assert refused.returncode == 1
    assert "CERTIFICATE_VERIFY_FAILED" in refused.stderr and "Traceback" not in refused.stderr


def renew(service: Service, authority: Authority, ports: list[int]) -> None:
    """Another certificate is shown, and a pair that does not belong together is not."""
    assert authority.issue() == 2
    until(lambda: all(serials(ports * 4, authority) == {2} for _ in range(2)), "the new certificate is shown")
    authority.key.write_text("no key")
    until(
        lambda: all(
            "can't be used" in log.read_text() for log in (service.folder / "var/log").glob("node-*.log")
        ),
        "both nodes say that they can't use it",
    )
    assert serials(ports, authority) == {2}
    with Client(service.port, authority) as client:
        nodes = client.ask("GET", "/nodes")[1]["nodes"]
    assert {node["url"].partition(":")[0] for node in nodes} == {"https"}


def test_up_says_at_once_what_is_wrong_with_the_certificate_and_starts_nothing(service, authority) -> None:
    service.environment |= {
        "RINGFENCE_HTTP__TLS_CERTIFICATE": str(authority.certificate),
        "RINGFENCE_HTTP__TLS_KEY": str(authority.folder / "nothing.key"),
    }
    service.begin()
    assert service.end() == 2
    assert "nothing.key, can't be used" in service.said()
    assert not list((service.folder / "var").glob("log/node-*.log"))


def test_files_that_do_not_belong_together_are_named_at_the_start(authority) -> None:
    assert Certificate(authority.certificate, authority.key).refresh() is False
    with pytest.raises(ConfigurationError, match=r"tls_certificate.*can't be used"):
        Certificate(authority.folder / "nothing.pem", None)
    other = authority.key.read_bytes()
    authority.issue()
    authority.key.write_bytes(other)
    with pytest.raises(ConfigurationError, match="tls_key"):
        Certificate(authority.certificate, authority.key)


def test_config_check_and_doctor_find_a_certificate_that_cannot_be_used(service, authority) -> None:
    service.environment |= {
        "RINGFENCE_HTTP__TLS_CERTIFICATE": str(authority.certificate),
        "RINGFENCE_HTTP__TLS_KEY": str(authority.folder / "nothing.key"),
    }
    checked = service.run("config", "check")
    assert (checked.returncode, "nothing.key, can't be used" in checked.stderr) == (2, True), checked.stderr
    examined = service.run("doctor").stdout
    assert "FAULT    certificate" in examined and "nothing.key, can't be used" in examined
    service.environment["RINGFENCE_HTTP__TLS_KEY"] = str(authority.key)
    assert service.run("config", "check").returncode == 0
    assert "ok       certificate" in service.run("doctor").stdout
    authority.key.chmod(0o644)
    assert "every user here can read the key" in service.run("doctor").stdout
