"""Reads a JSON object as it stands, so that every fault of it can be named.

Slow on purpose: it keeps repeated members apart and tells 2 from 2.0, which
fast decoders don't. It runs for bodies that the fast way refused or doubted.

Pure: no clock, no I/O. Cost: linear in the body, and no number is computed
whose digits could make that expensive.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from server.errors import InvalidJsonError, InvalidRequestError

FAULTS_MAX = 20
NAME_CHARACTERS_MAX = 64
BEYOND_EVERY_LIMIT = 10**18
_DIGITS_MAX = 18
_BYTE_ORDER_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_UNSAFE = re.compile(r"[\ud800-\udfff]")

Check = Callable[[object], str | None]
"""Says what is wrong with a member's value; None when nothing is."""


@dataclass(frozen=True)
class Rule:
    """What one member must be."""

    check: Check
    required: bool = True


class _Object(list[tuple[str, object]]):
    """The members of a JSON object in order, the repeated ones too."""


def read_object(body: bytes, rules: Mapping[str, Rule]) -> dict[str, Any]:
    """The members of the object in `body`, each checked by its rule.

    Raises InvalidJsonError (400) when the body is no JSON, and
    InvalidRequestError (422) that names every faulty member when it is.
    """
    values, faults = check_object(decode(body), rules)
    raise_faults(faults)
    return values


def check_object(
    document: object, rules: Mapping[str, Rule], base: str = ""
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """The members of a decoded object, and every fault of them as (pointer, what is wrong).

    base: the pointer of the object itself.
    """
    if not isinstance(document, _Object):
        return {}, [(base, f"must be an object, and was {kind_of(document)}")]

    values: dict[str, list[object]] = {}
    for name, value in document:
        values.setdefault(name, []).append(value)

    faults = [
        (base + pointer_to(name), fault)
        for name, given in values.items()
        if (fault := _fault_of(name, given, rules)) is not None
    ]
    faults += [
        (base + pointer_to(name), "is missing")
        for name, rule in rules.items()
        if rule.required and name not in values
    ]
    return {name: given[0] for name, given in values.items()}, faults


def raise_faults(faults: list[tuple[str, str]]) -> None:
    """Raises InvalidRequestError if there are any; names the first FAULTS_MAX and counts the rest."""
    if len(faults) > FAULTS_MAX:
        more = len(faults) - FAULTS_MAX
        faults = [*faults[:FAULTS_MAX], ("", f"has {more} more faulty members")]
    if faults:
        raise InvalidRequestError(faults)


def _fault_of(name: str, given: list[object], rules: Mapping[str, Rule]) -> str | None:
    rule = rules.get(name)
    if rule is None:
        known = f"the members are {', '.join(rules)}" if rules else "no members are taken"
        return f"is unknown; {known}"
    if len(given) > 1:
        return f"is given {len(given)} times"
    return rule.check(given[0])


def kind_of(value: object) -> str:
    """What a decoded value is in the words of JSON, for a sentence."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, str):
        return "a string"
    if isinstance(value, float):
        return "a number with a fraction or an exponent"
    if isinstance(value, int):
        return "a whole number"
    return "an object" if isinstance(value, _Object) else "an array"


def pointer_to(name: str) -> str:
    """The JSON Pointer of a member, in the form that stands in a URI (RFC 6901, 6).

    A name can be anything that a client sends: long ones are cut, and halves of
    surrogate pairs, which UTF-8 can't carry, are replaced.
    """
    shown = _UNSAFE.sub("\ufffd", name[:NAME_CHARACTERS_MAX])
    return "/" + quote(shown.replace("~", "~0").replace("/", "~1"), safe="~")


def decode(body: bytes) -> object:
    """The JSON value of a body, with repeated members kept apart. Raises InvalidJsonError."""
    if not body.strip(b" \t\r\n"):
        raise InvalidJsonError("The body is empty; a JSON object was expected.")
    if body.startswith(_BYTE_ORDER_MARKS):
        raise InvalidJsonError("The body starts with a byte order mark; JSON is UTF-8 without one.")
    try:
        return json.loads(
            body.decode("utf-8"),
            object_pairs_hook=_Object,
            parse_int=_whole_number,
            parse_float=_other_number,
            parse_constant=_no_constant,
        )
    except UnicodeDecodeError as error:
        raise InvalidJsonError(f"The body is not UTF-8 at byte {error.start + 1}.") from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        if error.msg == "Extra data":
            raise InvalidJsonError(f"More follows after the JSON value, at {place}.") from None
        raise InvalidJsonError(f"The body is not JSON at {place}: {error.msg}.") from None
    except RecursionError:
        raise InvalidJsonError("The body is nested too deep.") from None


def _whole_number(digits: str) -> int:
    """The number, or one just as far beyond every limit, without reading a million digits."""
    if len(digits) <= _DIGITS_MAX:
        return int(digits)
    return -BEYOND_EVERY_LIMIT if digits.startswith("-") else BEYOND_EVERY_LIMIT


def _other_number(_digits: str) -> float:
    """Stands for every number with a fraction or an exponent: all are refused alike."""
    return 0.5


def _no_constant(name: str) -> object:
    raise InvalidJsonError(f"The body is not JSON: {name} is not a JSON number.")
