"""The settings of the section http."""

from typing import Annotated

from pydantic import Field

from server.settings.kinds import OneSecondOrMore, Port, Section


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
