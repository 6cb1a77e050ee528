"""Which bodies the money routes take, and what is wrong with the others.

Two ways to the same answer. The quick one decodes straight into a Struct and
costs a microsecond; the careful one names every faulty member. Whatever the
quick way refuses or doubts goes the careful way, so the quick one may be too
strict and must never be too lax (a property test compares them).

The doubt that matters: decoders keep the last of repeated members without a
word. A flat object has one colon for each member, repeated ones included, so
more colons than members means a repetition, or a colon inside a string.

Units: amounts and balances are whole minor units.
Pure: no clock, no I/O.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any

from msgspec import UNSET, DecodeError, Meta, Struct, UnsetType
from msgspec.json import Decoder

from server.money.json_objects import Check, Rule, kind_of, read_object

INTEGER_MAX = 9007199254740991
"""2^53 - 1: the largest integer that every JSON client reads back digit for digit."""

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_RequestId = Annotated[
    # The contract's words for _UUID: judged here by is_request_id(), so that the fault can be named.
    str, Meta(extra_json_schema={"format": "uuid", "pattern": f"^{_UUID.pattern}$"})
]
_Positive = Annotated[int, Meta(ge=1, le=INTEGER_MAX)]
_NotNegative = Annotated[int, Meta(ge=0, le=INTEGER_MAX)]


class Movement(Struct, frozen=True):
    """Money to take out of, or put into, one account.

    request_id: the client's own, a UUID in lower case; without one the bank makes it.
    """

    user_id: int
    amount: int
    request_id: str | None = None


class MovementBody(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    user_id: _Positive
    amount: _Positive
    request_id: _RequestId | UnsetType = UNSET


class OpeningBody(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    balance: _NotNegative | UnsetType = UNSET


_decode_movement = Decoder(MovementBody).decode
_decode_opening = Decoder(OpeningBody).decode


def parse_movement(body: bytes) -> Movement:
    """The movement that a body asks for: {"userId", "amount", "requestId"?}.

    Raises InvalidJsonError (400) or InvalidRequestError (422).
    """
    return quick_movement(body) or careful_movement(body)


def quick_movement(body: bytes) -> Movement | None:
    """The movement, if there is no doubt about it."""
    try:
        found = _decode_movement(body)
    except (DecodeError, UnicodeDecodeError, RecursionError):
        return None
    colons = body.count(b":")
    if found.request_id is UNSET:
        return Movement(found.user_id, found.amount) if colons == 2 else None
    if colons != 3 or not _UUID.fullmatch(found.request_id):
        return None
    return Movement(found.user_id, found.amount, found.request_id.lower())


def careful_movement(body: bytes) -> Movement:
    """The same answer as parse_movement(), with every fault named."""
    return movement_of(read_object(body, MOVEMENT_RULES))


def movement_of(members: Mapping[str, Any]) -> Movement:
    """The movement that members make up which obey MOVEMENT_RULES."""
    request_id = members.get("requestId")
    return Movement(members["userId"], members["amount"], request_id and request_id.lower())


def parse_opening(body: bytes) -> int:
    """The opening balance that a body asks for: {"balance"?}; an empty body means 0.

    Raises InvalidJsonError (400) or InvalidRequestError (422).
    """
    if not body:
        return 0
    balance = quick_opening(body)
    return careful_opening(body) if balance is None else balance


def quick_opening(body: bytes) -> int | None:
    """The opening balance, if there is no doubt about it."""
    try:
        balance = _decode_opening(body).balance
    except (DecodeError, UnicodeDecodeError, RecursionError):
        return None
    colons = body.count(b":")
    if balance is UNSET:
        return 0 if colons == 0 else None
    return balance if colons == 1 else None


def careful_opening(body: bytes) -> int:
    """The same answer as parse_opening(), with every fault named."""
    balance: int = read_object(body, _OPENING_RULES).get("balance", 0)
    return balance


def parse_nothing(body: bytes) -> None:
    """Accepts an empty body or an object without members, and nothing else.

    Raises InvalidJsonError (400) or InvalidRequestError (422).
    """
    if body:
        read_object(body, {})


def is_request_id(text: str) -> bool:
    """Whether a text is a UUID in its canonical form, in either case."""
    return _UUID.fullmatch(text) is not None


def _whole_number(least: int) -> Check:
    expected = f"must be a whole number from {least} to {INTEGER_MAX}"

    def check(value: object) -> str | None:
        if not isinstance(value, int) or isinstance(value, bool):
            return f"{expected}, and was {kind_of(value)}"
        if value > INTEGER_MAX:
            return f"{expected}, and was too large"
        if value < least:
            return f"{expected}, and was {'zero' if value == 0 else 'negative'}"
        return None

    return check


def _uuid(value: object) -> str | None:
    expected = "must be a UUID such as 0198c5a0-7d3e-7c4a-9f10-6b2f5d1e8a77"
    if not isinstance(value, str):
        return f"{expected}, and was {kind_of(value)}"
    return None if is_request_id(value) else f"{expected}, and was another text"


MOVEMENT_RULES: Mapping[str, Rule] = {
    "userId": Rule(_whole_number(1)),
    "amount": Rule(_whole_number(1)),
    "requestId": Rule(_uuid, required=False),
}
_OPENING_RULES: Mapping[str, Rule] = {"balance": Rule(_whole_number(0), required=False)}
