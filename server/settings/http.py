"""The settings of the section http."""

import ipaddress
import re
import socket
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, Field, model_validator

from server.settings.kinds import OneSecondOrMore, Port, Section, Takes

_RATE = re.compile(r"([1-9]\d{0,8})/(s|min|h)(?: burst ([1-9]\d{0,8}))?")
_UNIT_SECONDS = {"s": 1, "min": 60, "h": 3600}
EVERY_ADDRESS = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 it is compared with
_HOST = re.compile(r"\*|\.?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")


class Rate(NamedTuple):
    """How often one client may ask, and how many times at once."""

    per_second: float
    burst: int


def parse_rate(text: str) -> Rate:
    """Such as `100/s burst 200`; without a burst one second's, minute's or hour's. Raises ValueError."""
    found = _RATE.fullmatch(text)
    if found is None:
        raise ValueError("expected a rate such as 100/s, 600/min or 100/s burst 200")
    number = int(found[1])
    return Rate(number / _UNIT_SECONDS[found[2]], int(found[3] or number))


def _is_rate(text: str) -> str:
    parse_rate(text)
    return text


def _are_networks(texts: tuple[str, ...]) -> tuple[str, ...]:
    for text in texts:
        ipaddress.ip_network(text)
    return texts


def _are_hosts(texts: tuple[str, ...]) -> tuple[str, ...]:
    for text in texts:
        if _HOST.fullmatch(text) is None:
            raise ValueError(
                f"{text!r} is no name of a host: expected such as bank.example, or .bank.example"
            )
    return texts


class Http(Section):
    """Where the service listens."""

    host: str = Field(
        "127.0.0.1",
        description="The address to listen on. Any other than a loopback one, such as `0.0.0.0`, needs a "
        "token of whoever asks: see `security`.",
    )
    port: Port = Field(
        8000,
        description="The public port, shared by all nodes; node-1 listens on port + 1 besides, node-2 on "
        "port + 2, and so on. All of them must be free.",
    )
    backlog: Annotated[int, Field(ge=1, le=65535)] = Field(
        16384,
        description="Connections that may wait to be accepted; a larger crowd is refused by the kernel. "
        "The kernel's own limit (`net.core.somaxconn`) counts too, the lower one wins.",
    )
    connections_max: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        20_000,
        description="Connections that one node keeps open, as far as its limit of open files (less 512) "
        "goes. With one more the one that is silent longest is closed; if all have requests under way, the "
        "new one gets 503 `overloaded`.",
    )
    idle_seconds: OneSecondOrMore = Field(
        60.0,
        alias="idle_timeout",
        description="How long a connection may be silent between requests, and the head of one may take.",
    )
    body_seconds: OneSecondOrMore = Field(
        20.0, alias="body_timeout", description="How long a body may take to arrive."
    )
    answer_seconds: OneSecondOrMore = Field(
        20.0, alias="answer_timeout", description="How long a client may take nothing of its answer."
    )
    allowed_hosts: Annotated[
        tuple[str, ...], AfterValidator(_are_hosts), Takes("a list of names of hosts")
    ] = Field(
        (),
        description="Names by which the service may be asked, besides every address, `localhost`, `host` and "
        "this machine's own name; `.bank.example` means all below it, `*` any. Other names get 421 "
        "`host_not_allowed` ([edge.md](edge.md)).",
    )
    trusted_proxies: Annotated[
        tuple[str, ...], AfterValidator(_are_networks), Takes("a list of addresses or networks")
    ] = Field(
        (),
        description="Proxies, such as `10.0.0.0/8`, whose `X-Forwarded-For` and `X-Forwarded-Proto` count.",
    )
    rate_limit: Annotated[
        Annotated[str, AfterValidator(_is_rate)] | None, Takes("a rate such as 100/s burst 200, or null")
    ] = Field(
        None,
        description="How often one client, a token or else an address, may ask one node; more gets 429 "
        "`rate_limited`. `null`: as often as it likes.",
    )
    tls_certificate: Path | None = Field(
        None,
        description="A file with the certificate, and those of its issuers behind it, in PEM: the service "
        "then speaks HTTPS on all its ports. It is loaded anew within seconds of a change.",
    )
    tls_key: Path | None = Field(
        None, description="The file with its key; `null`: it is in the same file. Without a password."
    )

    @property
    def own_name(self) -> str:
        """By what others call this host: `host`, or its name where that stands for all of its addresses."""
        return socket.gethostname() if self.host in EVERY_ADDRESS else self.host

    @property
    def scheme(self) -> str:
        """http or https."""
        return "http" if self.tls_certificate is None else "https"

    @model_validator(mode="after")
    def _key_of_a_certificate(self) -> "Http":
        if self.tls_key is not None and self.tls_certificate is None:
            raise ValueError("tls_key is for a tls_certificate, and there is none")
        return self
