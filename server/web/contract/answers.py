"""The shapes of answers and bodies that no other module needs as types."""

from typing import Any, Literal

from msgspec import Struct


class Alive(Struct, frozen=True):
    """A node that answers at all."""

    status: Literal["ok"]
    node: str


class Ready(Struct, frozen=True):
    """A node that should get requests."""

    status: Literal["ready"]
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
