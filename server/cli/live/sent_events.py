"""Server-sent events out of the bytes of a stream, as the HTML standard says.

Pure: bytes in, events out; no clock, no sockets.
"""

import json
from dataclasses import dataclass
from typing import Any

BLOCK_BYTES_MAX = 1024 * 1024


class MalformedStreamError(ValueError):
    """What came is no stream of events that this can read."""


@dataclass(frozen=True, slots=True)
class Sent:
    """One event. id: None where it has none, and so is no place to come back to."""

    kind: str
    id: int | None
    data: dict[str, Any]


class StreamReader:
    """Collects the bytes of one stream, in pieces of any size.

    last_id: the place to come back to with `since`; None before the stream has said one.
    """

    def __init__(self) -> None:
        self.last_id: int | None = None
        self._received = b""

    def feed(self, piece: bytes) -> list[Sent]:
        """The events that are complete by now. Raises MalformedStreamError."""
        self._received += piece
        *blocks, self._received = self._received.split(b"\n\n")
        if len(self._received) > BLOCK_BYTES_MAX:
            raise MalformedStreamError(f"an event of more than {BLOCK_BYTES_MAX} bytes")
        events = (self._read(block.decode(errors="replace")) for block in blocks)
        return [event for event in events if event is not None]

    def _read(self, block: str) -> Sent | None:
        kind, number, data = "message", None, None
        for line in block.split("\n"):
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "id" and value.isascii() and value.isdigit():
                number = self.last_id = int(value)
            elif name == "event":
                kind = value
            elif name == "data":
                data = value if data is None else f"{data}\n{value}"
        return None if data is None else Sent(kind, number, _object(data))


def _object(text: str) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except ValueError:
        raise MalformedStreamError("an event whose data is no JSON") from None
    if not isinstance(data, dict):
        raise MalformedStreamError("an event whose data is no JSON object")
    return data
