"""The shapes of answers and bodies that no other module needs as types."""

from typing import Any, Literal

from msgspec import Struct


class Health(Struct, frozen=True):
    """How a node is."""

    status: Literal["ok", "ready"]
    node: str


class Index(Struct, frozen=True):
    """What this is: routes holds the methods of each path."""

    service: str
    version: str
    node: str
    routes: dict[str, list[str]]


class Nothing(Struct, frozen=True, forbid_unknown_fields=True):
    """A body without members."""


class Results(Struct, frozen=True):
    """One result for each withdrawal: a receipt, or a problem with the requestId; each with its status."""

    results: list[dict[str, Any]]
