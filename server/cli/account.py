"""The account that a burst draws on: opened before, audited after, over one plain connection each.

Units: whole minor units. Each call ends within CALL_SECONDS_MAX.
"""

import http.client
import json
import socket
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from server.cli.handshakes import Tls
from server.cli.options import token_headers
from server.cli.trust import connection_to, is_here, trusting
from server.errors import RingfenceError

# Longer than the service itself waits for its database: then it says so, which tells more than silence.
CALL_SECONDS_MAX = 12.0
BODY_BYTES_MAX = 8 * 1024 * 1024
PAGE_ENTRIES = 1000


class ServiceError(RingfenceError):
    """The service can't be reached, or answered something else than it promises."""

    code = "service_failed"


class Service:
    """One address of the service. Raises ServiceError if the URL is not one that can be used."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        try:
            parts = urlsplit(self.url)
            port = parts.port or {"https": 443}.get(parts.scheme, 80)
        except ValueError as error:
            raise ServiceError(f"{url}: {error}") from None
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path or parts.query:
            raise ServiceError(f"{url}: expected http://HOST:PORT or https://HOST:PORT")
        self.authority = parts.netloc
        self.scheme, self._host, self._port = parts.scheme, parts.hostname, port
        self.family: int = socket.AF_UNSPEC
        self.address: tuple[str | int, ...] = ()

    def connect(self, seconds_max: float = CALL_SECONDS_MAX) -> http.client.HTTPConnection:
        """Connects, and remembers which of the name's addresses answered."""
        try:
            connection = connection_to(self.scheme, self._host, self._port, seconds_max)
            connection.connect()
        except ConnectionRefusedError:
            advice = (
                "Start the service in another terminal:  make run"
                if is_here(self._host)
                else "Does the service run there, with http.host: 0.0.0.0? As it comes it listens on its own "
                "host alone."
            )
            raise ServiceError(f"Nothing listens at {self.url}. {advice}") from None
        except OSError as error:
            raise ServiceError(f"{self.url} can't be reached: {error}") from None
        self.family, self.address = connection.sock.family, connection.sock.getpeername()
        return connection

    def tls(self) -> Tls | None:
        """How further connections are encrypted, after connect(); None for plain ones."""
        return Tls(trusting(self._host), self._host) if self.scheme == "https" else None

    def call(
        self, method: str, path: str, expected: int, body: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """The JSON object of the answer, which must have the expected status."""
        connection = self.connect()
        headers = {"Connection": "close"} | token_headers()
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            answer = json.loads(response.read(BODY_BYTES_MAX))
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise ServiceError(f"{method} {self.url}{path}: {error or type(error).__name__}") from None
        finally:
            connection.close()
        if response.status != expected or not isinstance(answer, dict):
            said = answer.get("detail", answer) if isinstance(answer, dict) else answer
            raise ServiceError(f"{method} {self.url}{path} answered {response.status}: {said}")
        return answer

    def open_account(self, balance: int) -> "Account":
        """A fresh account, so that nothing else moves its balance."""
        answer = self.call("POST", "/users", 201, {"balance": balance})
        return Account(self, _integer(answer, "id"))


@dataclass(frozen=True)
class Account:
    """One account of the service."""

    service: Service
    user_id: int

    def withdrawal(self, amount: int) -> bytes:
        """The bytes of one request. The service closes after its answer, so that its side, which
        has no ports to run out of, keeps the connection's remains (TIME_WAIT)."""
        body = json.dumps({"userId": self.user_id, "amount": amount}).encode()
        token = "".join(f"{name}: {value}\r\n" for name, value in token_headers().items())
        head = (
            f"POST /withdraw HTTP/1.1\r\nHost: {self.service.authority}\r\nContent-Type: application/json\r\n"
            f"{token}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        return head.encode() + body

    def balance(self) -> int:
        """The balance now."""
        return _integer(self.service.call("GET", f"/users/{self.user_id}", 200), "balance")

    def entries_sum(self, entries_max: int) -> int:
        """The sum of all entries, page by page; raises ServiceError if there are more than entries_max."""
        total, seen, cursor = 0, set[int](), ""
        while True:
            path = f"/users/{self.user_id}/entries?limit={PAGE_ENTRIES}{cursor}"
            page = self.service.call("GET", path, 200)
            entries = page.get("entries")
            if not isinstance(entries, list) or "next" not in page:
                raise ServiceError(f"GET {self.service.url}{path}: not a page of entries")
            ids = [_integer(entry, "id") for entry in entries]
            if len(seen) + len(ids) > entries_max or len(seen | set(ids)) < len(seen) + len(ids):
                raise ServiceError(
                    f"account {self.user_id} shows an entry twice, or more than {entries_max:,}"
                )
            seen.update(ids)
            total += sum(_integer(entry, "amount") for entry in entries)
            if page["next"] is None:
                return total
            if not entries:
                raise ServiceError(f"GET {self.service.url}{path}: an empty page that is not the last")
            cursor = f"&cursor={quote(str(page['next']), safe='')}"


def _integer(item: Any, name: str) -> int:
    value = item.get(name) if isinstance(item, dict) else None
    if isinstance(value, bool) or not isinstance(value, int):
        raise ServiceError(f"the service answered without an integer {name}: {str(item)[:200]}")
    return value
