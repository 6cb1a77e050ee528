"""What `ringfence up` shows: a line for each step that is done, and one that moves while it waits.

Plain lines where nobody watches. A terminal that has gone, or a pipe that was
closed, must not keep the service from stopping: what can't be shown is dropped.
"""

import contextlib
import os
import sys
import time
from collections.abc import Iterator

from rich.console import Console
from rich.status import Status
from rich.text import Text


class Screen:
    """The terminal, or what stands for it."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=True)
        self._status: Status | None = None

    @contextlib.contextmanager
    def step(self, doing: str) -> Iterator[None]:
        """Shows what is being done, and how long it took if that is worth a word."""
        began = time.monotonic()
        with self._moving(doing):
            yield
        seconds = time.monotonic() - began
        self.line(f"{doing}: done" + (f" ({seconds:.1f} s)" if seconds >= 0.1 else ""), mark="+")

    def now(self, doing: str) -> None:
        """Changes the moving line; without a terminal nothing moves, so nothing is shown."""
        if self._status is not None:
            with _best_effort():
                self._status.update(Text(doing))

    def line(self, text: str, *, mark: str = " ", style: str = "") -> None:
        """Shows a line that stays."""
        with _best_effort():
            self._console.print(Text(f"{mark} {text}" if mark.strip() else text, style=style))

    def warn(self, text: str) -> None:
        """Shows a line that should not be overlooked."""
        self.line(text, mark="!", style="yellow" if self._console.is_terminal else "")

    @contextlib.contextmanager
    def _moving(self, doing: str) -> Iterator[None]:
        if not self._console.is_terminal:
            yield
            return
        status = self._console.status(Text(doing))
        with _best_effort():
            status.start()
        self._status = status
        try:
            yield
        finally:
            self._status = None
            with _best_effort():
                status.stop()


@contextlib.contextmanager
def _best_effort() -> Iterator[None]:
    try:
        yield
        sys.stdout.flush()
    except OSError:
        # Nobody reads any more. Or Python would complain once more at its end.
        with contextlib.suppress(OSError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, sys.stdout.fileno())
            os.close(null)
