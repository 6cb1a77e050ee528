"""The signals that end `ringfence up`, and how hard each asks.

While it starts, the first one interrupts whatever is being done; from then on
they only raise the level, which the stopping loop looks at.
"""

import contextlib
import os
import select
import signal
from collections.abc import Iterator
from enum import IntEnum
from types import FrameType


class Level(IntEnum):
    """How quickly everything has to end."""

    RUN = 0
    DRAIN = 1  # running tasks may finish
    FAST = 2  # they are interrupted
    KILL = 3  # nothing is asked any more


class StopRequested(BaseException):
    """Somebody wants everything to end, while it was still being started."""


class Signals:
    """SIGTERM and SIGHUP drain; SIGINT stops fast; a second one stops waiting."""

    def __init__(self) -> None:
        self.level = Level.RUN
        self._interrupting = False
        # Non-blocking at the writing end, as set_wakeup_fd asks.
        self._reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGINT, self._received)
        signal.signal(signal.SIGTERM, self._received)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup means to stay
            signal.signal(signal.SIGHUP, self._received)
        # For nothing but to end wait(): a child that ends is news.
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)

    @contextlib.contextmanager
    def interrupting(self) -> Iterator[None]:
        """While this lasts, a signal raises StopRequested."""
        self._interrupting = True
        try:
            if self.level > Level.RUN:
                raise StopRequested
            yield
        finally:
            self._interrupting = False

    def wait(self, seconds_max: float) -> None:
        """Waits for any signal, or for the time to pass."""
        select.select([self._reader], [], [], seconds_max)
        with contextlib.suppress(BlockingIOError):
            os.read(self._reader, 4096)

    def _received(self, number: int, _frame: FrameType | None) -> None:
        if number != signal.SIGINT:
            self.level = max(self.level, Level.DRAIN)
        else:
            self.level = Level.KILL if self.level >= Level.FAST else Level.FAST
        if self._interrupting:
            self._interrupting = False
            raise StopRequested
