"""A route: a path with named places, and the handler that serves it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tornado.web import RequestHandler

_PLACE = re.compile(r"\{\w+\}")


@dataclass(frozen=True)
class Route:
    """path: such as /users/{userId}; also the label of the route's metrics.

    needs: what the handler's initialize() takes beside services and route.
    """

    path: str
    handler: type[RequestHandler]
    needs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def pattern(self) -> str:
        """The regular expression that matches the path; a place is anything but a slash."""
        return _PLACE.sub("([^/]+)", re.escape(self.path).replace(r"\{", "{").replace(r"\}", "}"))
