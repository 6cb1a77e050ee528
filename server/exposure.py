"""Whether anybody but this host can reach what is listened on, and what follows from it.

A proxy on this host that hands on what comes from elsewhere can't be seen from here. Whoever
names it in `http.trusted_proxies` has said so; else its owner says `security.tokens: required`.
"""

import ipaddress
import socket
from collections.abc import Iterable

from server.settings import Settings

HOW_TO_MAKE_ONE = "ringfence token create --scope admin"


def is_loopback(address: str) -> bool:
    """Whether an address that is listened on is reached from this host alone."""
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False  # no address: doubt counts as exposed


def are_exposed(sockets: Iterable[socket.socket]) -> bool:
    """Whether one of the listening sockets is reached from elsewhere. A Unix socket is not."""
    return any(
        one.family in {socket.AF_INET, socket.AF_INET6} and not is_loopback(one.getsockname()[0])
        for one in sockets
    )


def are_tokens_required(settings: Settings) -> bool:
    """Whether requests need a token, as far as the settings tell; see are_exposed() for the sockets."""
    if settings.security.tokens == "required" or settings.http.trusted_proxies:
        return True
    try:
        found = socket.getaddrinfo(settings.http.host or None, None, flags=socket.AI_PASSIVE)
    except OSError:
        return True  # it can't be listened on, which is told elsewhere
    return not all(is_loopback(str(address[0])) for *_, address in found)


def why_refused(settings: Settings) -> str:
    """What is told to one who starts the service where a token is needed and there is none."""
    first = "ringfence db start && ringfence migrate && " if settings.database.url is None else ""
    reason = f"http.host is {settings.http.host}, which other hosts may reach"
    if settings.security.tokens == "required":
        reason = "security.tokens is required"
    elif settings.http.trusted_proxies:
        reason = "http.trusted_proxies hand on what comes from other hosts"
    return (
        f"{reason}, and there is no token that anybody could use. Make one, then start again:  "
        f"{first}{HOW_TO_MAKE_ONE}"
    )
