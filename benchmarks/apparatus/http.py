"""Requests as bytes, and the little of HTTP that a load client needs."""

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

CALL_SECONDS_MAX = 30.0
END_OF_HEAD = b"\r\n\r\n"
_LENGTH = b"content-length:"


@dataclass(frozen=True)
class Address:
    """Where a contestant listens."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """Without a path."""
        return f"http://{self.host}:{self.port}"


def post(address: Address, path: str, body: bytes, headers: Mapping[str, str] | None = None) -> bytes:
    """The bytes of one POST with a JSON body, on a connection that stays open."""
    more = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {address.host}:{address.port}\r\n"
        f"Content-Type: application/json\r\n{more}Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode("ascii") + body


def withdrawal(user_id: int, amount: int) -> bytes:
    """The body of one withdrawal."""
    return b'{"userId":%d,"amount":%d}' % (user_id, amount)


def body_bytes(head: bytes) -> int:
    """The length that the head of an answer announces; no contestant sends chunks."""
    _, found, rest = head.lower().partition(_LENGTH)
    if not found:
        raise ValueError(f"an answer without Content-Length: {head[:300]!r}")
    return int(rest.split(b"\r\n", 1)[0])


def ask(address: Address, method: str, path: str, body: bytes | None = None) -> tuple[int, Any]:
    """One request by itself: status, and the answer if it is JSON."""
    connection = http.client.HTTPConnection(address.host, address.port, timeout=CALL_SECONDS_MAX)
    try:
        headers = {} if body is None else {"Content-Type": "application/json"}
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        content = response.read()
    finally:
        connection.close()
    try:
        return response.status, json.loads(content)
    except ValueError:
        return response.status, None
