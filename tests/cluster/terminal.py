"""Programs in a terminal of their own, as a person sees and ends them."""

import os
import pty
import select
import time

from service import Service


def start_in_terminal(service: Service, *argv: str) -> tuple[int, int]:
    """Starts a program in a terminal of its own; returns its pid and the terminal's other end."""
    pid, terminal = pty.fork()
    if pid == 0:  # pragma: no cover the child becomes ringfence
        os.chdir(service.folder)
        os.execvpe(argv[0], argv, service.environment)
    return pid, terminal


def read_until(terminal: int, expected: str, seconds_max: float = 60.0) -> str:
    """What the terminal shows, up to and with the expected text, or to its end."""
    shown, deadline = "", time.monotonic() + seconds_max
    while expected not in shown:
        assert time.monotonic() < deadline, shown
        if select.select([terminal], [], [], 0.1)[0]:
            try:
                shown += os.read(terminal, 65_536).decode(errors="replace")
            except OSError:  # the program has ended
                return shown
    return shown
