"""Keys of a terminal one by one, without waiting for Enter. Ctrl-C stays what it is."""

import os
import sys
import termios
import tty
from types import TracebackType
from typing import Any

from server.cli.live.controls import ESCAPE

PIECE_BYTES = 256


class Keyboard:
    """The keys, while the block lasts; none where standard input is no terminal."""

    def __init__(self) -> None:
        self.descriptor: int | None = None
        self._before: list[Any] = []

    def __enter__(self) -> "Keyboard":
        if sys.stdin is not None and sys.stdin.isatty():
            self.descriptor = sys.stdin.fileno()
            self._before = termios.tcgetattr(self.descriptor)
            tty.setcbreak(self.descriptor)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.descriptor is not None:
            termios.tcsetattr(self.descriptor, termios.TCSADRAIN, self._before)

    def pressed(self) -> list[str]:
        """The keys that wait to be read. An arrow or the like comes as one piece, and is no key here."""
        assert self.descriptor is not None
        text = os.read(self.descriptor, PIECE_BYTES).decode(errors="replace")
        if not text:
            self.descriptor = None  # the terminal has gone
        if text.startswith(ESCAPE) and len(text) > 1:
            return []
        return list(text)
