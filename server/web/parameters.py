"""Query parameters and places in paths: read, checked, and every fault named.

Pure: texts in, values out.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Collection
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID

from server.errors import InvalidRequestError, RequestError
from server.money.amounts import INTEGER_MAX, is_request_id

FIELDS_MAX = 20
NAME_CHARACTERS_MAX = 64
_ID_DIGITS_MAX = 16
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DIGITS = re.compile(r"[0-9]{1,16}")
_WORDS = re.compile(r"[^\x00-\x1f\x7f]{1,100}")
_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,100}")
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


class InvalidParametersError(InvalidRequestError):
    """Parameters of the URL are wrong; each is named.

    faults: (name of the parameter, what was wrong) for each.
    """

    def members(self) -> dict[str, Any]:
        return {"errors": [{"parameter": name, "detail": fault} for name, fault in self.faults]}


class Parameters:
    """The query of one request. Getters note what is wrong; done() raises it all at once."""

    def __init__(self, query: str, takes: Collection[str]) -> None:
        self._faults: list[tuple[str, str]] = []
        self._values: dict[str, str] = {}
        for name, value in self._pairs(query):
            shown = name[:NAME_CHARACTERS_MAX]
            if name not in takes:
                known = f"known here: {', '.join(takes)}" if takes else "this route takes none"
                self._faults.append((shown, f"is an unknown parameter; {known}"))
            elif name in self._values:
                self._faults.append((shown, "is given more than once"))
            else:
                self._values[name] = value

    def done(self) -> None:
        """Raises InvalidParametersError if anything was wrong."""
        if self._faults:
            raise InvalidParametersError(self._faults)

    def whole_number(self, name: str, default: int, most: int) -> int:
        """A number from 1 to `most`."""
        text = self._values.get(name)
        if text is None:
            return default
        if not _DIGITS.fullmatch(text) or not 1 <= int(text) <= most:
            self._faults.append((name, f"must be a whole number from 1 to {most}"))
            return default
        return int(text)

    def whole_number_or_none(self, name: str, most: int) -> int | None:
        """The same without a default: None if it is not given."""
        return self.whole_number(name, 1, most) if name in self._values else None

    def name(self, name: str) -> str | None:
        """The name of a task or a node."""
        text = self._values.get(name)
        if text is not None and not is_name(text):
            self._faults.append((name, "must be a name: up to 100 letters, digits, and _ . : -"))
        return text

    def words(self, name: str) -> str | None:
        """Words of a person: anything but control characters."""
        text = self._values.get(name)
        if text is not None and not _WORDS.fullmatch(text):
            self._faults.append((name, "must be 1 to 100 characters, none of them a control character"))
        return text

    def names(self, name: str) -> frozenset[str]:
        """Names of tasks, separated by commas; empty means any."""
        found = self._list(name)
        if not all(map(is_name, found)):
            self._faults.append((name, "must be names separated by commas"))
        return found

    def choices(self, name: str, choices: Collection[str]) -> frozenset[str]:
        """Some of a few words, separated by commas; empty means any."""
        found = self._list(name)
        if not found <= set(choices):
            self._faults.append((name, f"must be some of {', '.join(choices)}, separated by commas"))
        return found

    def event_id(self, name: str, header: str | None) -> int | None:
        """An event's id, by the header Last-Event-ID or else by the parameter; None if both are missing."""
        by_name = self._event_id(name, self._values.get(name))
        by_header = self._event_id("Last-Event-ID", header)
        return by_name if by_header is None else by_header

    def _event_id(self, place: str, text: str | None) -> int | None:
        if text is None:
            return None
        if not _DIGITS.fullmatch(text) or int(text) > INTEGER_MAX:
            self._faults.append((place, "must be the id of an event, or 0 for all that are kept"))
            return None
        return int(text)

    def choice(self, name: str, choices: Collection[str]) -> str | None:
        """One of a few words."""
        text = self._values.get(name)
        if text is not None and text not in choices:
            self._faults.append((name, f"must be one of {', '.join(choices)}"))
        return text

    def flag(self, name: str, *, default: bool) -> bool:
        """true or false."""
        text = self.choice(name, ("true", "false"))
        return default if text is None else text == "true"

    def moment(self, name: str) -> datetime | None:
        """A moment as in RFC 3339."""
        text = self._values.get(name)
        if text is None:
            return None
        if _RFC_3339.fullmatch(text):
            with suppress(ValueError):  # the 31st of February: the same answer as for another text
                return datetime.fromisoformat(text.upper())
        # A plus sign in a query means a space, which is how an offset is lost.
        expected = "must be a moment such as 2026-01-31T08:00:00Z (in an offset, write %2B for +)"
        self._faults.append((name, expected))
        return None

    def cursor(self, name: str, kind: str) -> int | None:
        """The id that `next` of the page before named; see cursor_after()."""
        numbers = self._place(name, kind, 1)
        return numbers[0] if numbers else None

    def place_in_time(self, name: str, kind: str) -> tuple[datetime, int] | tuple[None, None]:
        """The moment and the id that `next` of the page before named; see cursor_in_time()."""
        numbers = self._place(name, kind, 2)
        if not numbers:
            return None, None
        return _EPOCH + numbers[0] * timedelta(microseconds=1), numbers[1]

    def _place(self, name: str, kind: str, count: int) -> list[int]:
        """The numbers of a cursor; none without one, or if it is faulty."""
        text = self._values.get(name)
        if text is None:
            return []
        with suppress(ValueError):  # not base64, not ASCII or no numbers: as for another text
            padded = text + "=" * (-len(text) % 4)
            words = urlsafe_b64decode(padded).decode("ascii").split(":")[1 : count + 1]
            numbers = [int(word[:_ID_DIGITS_MAX]) for word in words]
            if len(numbers) == count and cursor_after(kind, *numbers) == text:
                return numbers
        self._faults.append((name, "must be what `next` of the page before says, unchanged"))
        return []

    def _list(self, name: str) -> frozenset[str]:
        text = self._values.get(name)
        return frozenset() if text is None else frozenset(text.split(","))

    @staticmethod
    def _pairs(query: str) -> list[tuple[str, str]]:
        if not query:
            return []
        try:
            return parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=FIELDS_MAX)
        except ValueError:
            raise RequestError(
                f"The query can't be read: UTF-8 and up to {FIELDS_MAX} parameters were expected."
            ) from None


def cursor_after(kind: str, *place: int) -> str:
    """An opaque text for "what follows after this id"; clients must not take it apart."""
    words = ":".join([kind, *map(str, place)])
    return urlsafe_b64encode(words.encode()).decode().rstrip("=")


def cursor_in_time(kind: str, moment: str, last_id: int) -> str:
    """The same for lists in the order of time; moment: RFC 3339, as it was sent.

    The time stands in it, since by the time of the next page the row may be pruned.
    """
    return cursor_after(kind, (datetime.fromisoformat(moment) - _EPOCH) // timedelta(microseconds=1), last_id)


def is_name(text: str) -> bool:
    """Whether a text can be the name of a task or a node."""
    return _NAME.fullmatch(text) is not None


def id_in_path(name: str, text: str) -> int:
    """An id out of a path. Raises InvalidParametersError."""
    if not _DIGITS.fullmatch(text) or not 1 <= int(text) <= INTEGER_MAX:
        raise InvalidParametersError([(name, f"must be a whole number from 1 to {INTEGER_MAX}")])
    return int(text)


def request_id_in_path(name: str, text: str) -> UUID:
    """A request id out of a path. Raises InvalidParametersError."""
    if not is_request_id(text):
        raise InvalidParametersError([(name, "must be a UUID")])
    return UUID(text)
