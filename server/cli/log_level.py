"""`ringfence log-level`: asks each node by itself, since the public port reaches any one of them."""

from typing import Any

from server.cli import api
from server.errors import ConfigurationError


def ask_all(url: str, node: str | None, level: str | None, seconds: int | None) -> list[dict[str, Any]]:
    """What each node that lives, or the one of that name, answers; level None changes nothing.

    Raises ConfigurationError for a node that is not there; RefusedError, ServiceError.
    """
    found = api.call(url, "GET", "/nodes").content["nodes"]
    members = [one for one in found if one["state"] != "dead" and node in {None, one["name"]}]
    if not members:
        raise ConfigurationError(f"no node{'' if node is None else f' {node}'} is a member; see {url}/nodes")
    if level is None:
        return [api.call(one["url"], "GET", "/log-level").content for one in members]
    body: dict[str, Any] = {"level": level} | ({} if seconds is None else {"seconds": seconds})
    return [api.call(one["url"], "PUT", "/log-level", body).content for one in members]
