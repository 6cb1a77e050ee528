"""Where a request comes from, whom it thinks it asks, and how often: judged before anything else.

Host      A page whose name is turned to our address by its owner's DNS (rebinding) is of the
          same origin as we are, to a browser. The name it used still stands in Host, so
          names that nobody gave us are refused. An address can't be rebound: all are taken.
Proxies   X-Forwarded-For and -Proto count from those addresses alone that are trusted.
Rates     A token bucket for each token or address, as one number (GCRA): the moment until
          which it has spent what it gets. The least recently seen is forgotten beyond
          CLIENTS_MAX; that one has nearly always all of its tokens again.
"""

import ipaddress
import math
import socket
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from time import monotonic
from typing import Any

from tornado.httputil import HTTPHeaders

from server.errors import RequestError
from server.settings import Http
from server.settings.http import Rate, parse_rate

CLIENTS_MAX = 100_000
HOSTS_KEPT = 1_000
FORWARDED_MAX = 20
"""How many addresses of X-Forwarded-For are looked at, from the nearest on."""
IPV6_CLIENT_BITS = 64
"""Whoever has one IPv6 address has all of its network."""
_NOTHING: Mapping[str, str] = {}


class HostNotAllowedError(RequestError):
    """The request names a host that this service is not."""

    status = 421
    code = "host_not_allowed"
    title = "This service is not the host that was asked"

    def __init__(self, host: str) -> None:
        super().__init__(
            f"The header Host says {host[:100]!r}, which this service does not go by. "
            "Ask it by an address or as localhost, or add the name to http.allowed_hosts."
        )


class RateLimitedError(RequestError):
    """This client asks more often than it may."""

    status = 429
    code = "rate_limited"
    title = "Too many requests"

    def __init__(self, headers: Mapping[str, str], retry_after_seconds: int) -> None:
        super().__init__(f"Too many requests. Try again in {retry_after_seconds} s; nothing has happened.")
        self.headers = {**headers, "Retry-After": str(retry_after_seconds)}


class Hosts:
    """The names that requests may ask for; the own ones, every address and localhost besides."""

    def __init__(self, http: Http) -> None:
        own = {http.host.lower(), socket.gethostname().lower()}
        self._names = {"localhost", *own, *(name.lower() for name in http.allowed_hosts)}
        self._known: set[str] = set()

    def takes(self, host: str | None) -> bool:
        """Whether a Host header may be answered. One without is no browser's."""
        if not host or host in self._known:
            return True
        if "*" not in self._names and not self._is_ours(name_in(host)):
            return False
        if len(self._known) < HOSTS_KEPT:
            self._known.add(host)
        return True

    def _is_ours(self, name: str) -> bool:
        if name in self._names or name.endswith(".localhost"):
            return True
        if any(known.startswith(".") and name.endswith(known) for known in self._names):
            return True
        try:
            ipaddress.ip_address(name.partition("%")[0])
        except ValueError:
            return False
        return True


class Limiter:
    """How often each client may ask."""

    def __init__(self, rate: Rate, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self._seconds = 1 / rate.per_second
        self._full_seconds = rate.burst * self._seconds
        self._policy = f'"default";q={rate.burst};w={math.ceil(self._full_seconds)}'
        self._spent_until: OrderedDict[str, float] = OrderedDict()

    def take(self, client: str) -> Mapping[str, str]:
        """Takes one token; returns what the answer says of the rest. Raises RateLimitedError."""
        now = self._now()
        spent = max(self._spent_until.get(client, now), now) + self._seconds
        wait_seconds = spent - now - self._full_seconds
        if wait_seconds > 1e-9:
            raise RateLimitedError(self._headers(spent - self._seconds - now), math.ceil(wait_seconds))
        self._spent_until[client] = spent
        self._spent_until.move_to_end(client)
        if len(self._spent_until) > CLIENTS_MAX:
            self._spent_until.popitem(last=False)
        return self._headers(spent - now)

    def __len__(self) -> int:
        return len(self._spent_until)

    def _headers(self, spent_seconds: float) -> Mapping[str, str]:
        left = max(0, int((self._full_seconds - spent_seconds) / self._seconds + 1e-9))
        return {
            "RateLimit-Policy": self._policy,
            "RateLimit": f'"default";r={left};t={math.ceil(spent_seconds)}',
        }


class Edge:
    """All three, for one node."""

    def __init__(self, http: Http) -> None:
        self._hosts = Hosts(http)
        self._trusted = [ipaddress.ip_network(one) for one in http.trusted_proxies]
        self._limiter = None if http.rate_limit is None else Limiter(parse_rate(http.rate_limit))

    def meet(self, headers: HTTPHeaders, context: Any) -> None:
        """Tells a request's own context who sent it, and how, where a trusted proxy handed it on.

        context: Tornado's, of the connection: remote_ip and protocol are those of the
            request until the next one comes.
        """
        if not self._trusted:
            return
        context._unapply_xheaders()
        if not self._is_trusted(context.remote_ip):
            return
        forwarded = ",".join(headers.get_list("X-Forwarded-For")).split(",")[-FORWARDED_MAX:]
        context.remote_ip = self._client(reversed(forwarded), context.remote_ip)
        scheme = headers.get("X-Forwarded-Proto", "").rpartition(",")[2].strip().lower()
        if scheme in {"http", "https"}:
            context.protocol = scheme

    def is_plain(self, headers: HTTPHeaders) -> bool:
        """Whether a request needs nothing of this but meet(); the others the handlers judge."""
        return self._limiter is None and self._hosts.takes(headers.get("Host"))

    def check_host(self, headers: HTTPHeaders) -> None:
        """Raises HostNotAllowedError."""
        if not self._hosts.takes(headers.get("Host")):
            raise HostNotAllowedError(headers.get("Host", ""))

    def take(self, token: str, address: str | None) -> Mapping[str, str]:
        """Counts a request of a token or, without one, of an address. Raises RateLimitedError."""
        if self._limiter is None:
            return _NOTHING
        return self._limiter.take(f"token {token}" if token else client_of(address or ""))

    def _client(self, nearest_first: Iterable[str], peer: str) -> str:
        client = peer
        for text in nearest_first:
            try:
                client = str(ipaddress.ip_address(text.strip()))
            except ValueError:
                break  # what follows was written by nobody whom we trust
            if not self._is_trusted(client):
                break
        return client

    def _is_trusted(self, address: str) -> bool:
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(found in network for network in self._trusted)


def name_in(host: str) -> str:
    """The name or address of a Host header, without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdigit() else host).lower().rstrip(".")


def client_of(address: str) -> str:
    """Who counts as one client: an IPv4 address, or the network of an IPv6 address."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return "somebody"
    if found.version == 4:
        return str(found)
    return str(ipaddress.ip_network(f"{found}/{IPV6_CLIENT_BITS}", strict=False))
