"""Lists of movements in one body: {"withdrawals": [{"userId", "amount", "requestId"?}, ...]}.

As in amounts.py a quick way for what is right, and a careful one that names every
fault by its place; the colons tell repeated members, as there.

Pure: no clock, no I/O.
"""

from collections.abc import Sequence
from typing import Annotated

from msgspec import UNSET, DecodeError, Meta, Struct
from msgspec.json import Decoder

from server.money.amounts import MOVEMENT_RULES, Movement, MovementBody, is_request_id, movement_of
from server.money.json_objects import Rule, check_object, decode, kind_of, raise_faults

MOVEMENTS_MAX = 10_000
BODY_BYTES_MAX = 2 * 1024 * 1024


class ListBody(Struct, frozen=True, forbid_unknown_fields=True):
    withdrawals: Annotated[list[MovementBody], Meta(min_length=1, max_length=MOVEMENTS_MAX)]


_decode_list = Decoder(ListBody).decode


def parse_withdrawals(body: bytes) -> list[Movement]:
    """The movements that a body asks for, in order.

    Raises InvalidJsonError (400) or InvalidRequestError (422), which names the places
    of faults, and of a request id that occurs twice.
    """
    return quick_withdrawals(body) or careful_withdrawals(body)


def quick_withdrawals(body: bytes) -> list[Movement] | None:
    """The movements, if there is no doubt about any of them."""
    try:
        found = _decode_list(body).withdrawals
    except (DecodeError, UnicodeDecodeError, RecursionError):
        return None
    given = [one.request_id for one in found if one.request_id is not UNSET]
    if body.count(b":") != 1 + 2 * len(found) + len(given):
        return None
    if not all(map(is_request_id, given)) or len({text.lower() for text in given}) != len(given):
        return None
    return [
        Movement(one.user_id, one.amount, None if one.request_id is UNSET else one.request_id.lower())
        for one in found
    ]


def careful_withdrawals(body: bytes) -> list[Movement]:
    """The same answer as parse_withdrawals(), with every fault named."""
    members, faults = check_object(decode(body), {"withdrawals": Rule(_list_fault)})
    raise_faults(faults)
    movements: list[Movement] = []
    for place, document in enumerate(members["withdrawals"]):
        values, found = check_object(document, MOVEMENT_RULES, f"/withdrawals/{place}")
        faults += found
        if not found:
            movements.append(movement_of(values))
    raise_faults(faults)
    raise_faults(_repetitions(movements))
    return movements


def _list_fault(value: object) -> str | None:
    expected = f"must be a list of 1 to {MOVEMENTS_MAX} withdrawals"
    if kind_of(value) != "an array" or not isinstance(value, list):
        return f"{expected}, and was {kind_of(value)}"
    return None if 1 <= len(value) <= MOVEMENTS_MAX else f"{expected}, and has {len(value)}"


def _repetitions(movements: Sequence[Movement]) -> list[tuple[str, str]]:
    first: dict[str, int] = {}
    faults: list[tuple[str, str]] = []
    for place, movement in enumerate(movements):
        if movement.request_id is None:
            continue
        seen_at = first.setdefault(movement.request_id, place)
        if seen_at != place:
            faults.append((f"/withdrawals/{place}/requestId", f"is that of withdrawal {seen_at} already"))
    return faults
