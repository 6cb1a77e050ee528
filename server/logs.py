"""Structured logs: one line an event, for people or as JSON.

Never written: passwords, tokens, keys, amounts, balances, bodies. Whoever logs an error
that may carry such (PostgreSQL quotes the row that it refuses) says what is safe of it.
"""

import contextlib
import logging
import os
import queue
import sys
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal

import structlog

LINES_MAX = 10_000
FLUSH_SECONDS_MAX = 1.0


@dataclass
class LogFigures:
    """What metrics tell of this process's log. lines: by level; dropped: left out since nobody read."""

    lines: Counter[str] = field(default_factory=Counter)
    dropped: int = 0


FIGURES = LogFigures()
"""There is one log a process, so one of these."""


LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


class _Threshold:
    """The least level that is written; one for the process, changed while it runs."""

    number = LEVELS["info"]


def level() -> str:
    """The least that is written now."""
    return next(name for name, number in LEVELS.items() if number == _Threshold.number)


def set_level(name: str) -> None:
    """Writes this level and what lies above it from now on, of our own code and of libraries."""
    _Threshold.number = LEVELS[name]
    logging.getLogger().setLevel(_Threshold.number)


def is_written(name: str) -> bool:
    """Whether a line of this level is written; asked by those to whom making one costs something."""
    return LEVELS[name] >= _Threshold.number


def _adjustable_logger() -> type:
    """structlog's logger, whose methods look at the threshold each time."""
    base: Any = structlog.make_filtering_bound_logger(logging.DEBUG)

    def guarded(name: str, number: int) -> Any:
        method = getattr(base, name)

        def tell(self: Any, event: str, *args: Any, **members: Any) -> Any:
            return method(self, event, *args, **members) if number >= _Threshold.number else None

        return tell

    return type("AdjustableLogger", (base,), {name: guarded(name, number) for name, number in LEVELS.items()})


class BackgroundHandler(logging.Handler):
    """Writes to a descriptor from a thread of its own.

    Who reads our output may stop reading, and then a write to the full pipe lasts for
    ever. Neither a heartbeat nor a soft stop nor the event loop may wait for that. Lines
    that nobody reads are left out, once LINES_MAX of them wait, and counted.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._lines: queue.Queue[bytes] = queue.Queue(LINES_MAX)
        self._left_out = 0
        threading.Thread(target=self._write, name="log", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            FIGURES.lines[record.levelname.lower()] += 1
            self._lines.put_nowait(f"{self.format(record)}\n".encode(errors="backslashreplace"))
        except queue.Full:
            self._left_out += 1
            FIGURES.dropped += 1
        except Exception:
            self.handleError(record)  # as every handler does with a record that can't be formatted

    def flush(self) -> None:
        """Waits for what is to be written, also at the process's end; FLUSH_SECONDS_MAX at most."""
        written = self._lines.all_tasks_done
        with written:
            written.wait_for(lambda: self._lines.unfinished_tasks == 0, FLUSH_SECONDS_MAX)

    def _write(self) -> None:
        while True:
            line = self._lines.get()
            # To the descriptor itself: a stream's own lock, held by this thread in a write that
            # does not end, would keep the process from ending.
            with contextlib.suppress(OSError):  # nobody is there to read, nor to be told of it
                while line:
                    line = line[os.write(self._descriptor, line) :]
            self._lines.task_done()
            if self._left_out:
                left_out, self._left_out = self._left_out, 0
                structlog.get_logger(__name__).warning(
                    "nobody read the log; lines were left out", lines=left_out
                )


def configure_logs(least: str, form: Literal["console", "json"], **always: str) -> None:
    """Sends structlog's and the standard library's records to stderr in one form.

    always: members that every line carries, such as the node's name.
    """

    def add_always(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        return {**always, **event}

    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        add_always,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            *([structlog.processors.format_exc_info] if form == "json" else []),
            last,
        ],
    )
    handler = BackgroundHandler(sys.stderr.fileno())
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    set_level(least)
    # These tell every statement and every reconnect; what matters of it we tell ourselves.
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("tornado.access").setLevel(logging.ERROR)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=_adjustable_logger(),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
