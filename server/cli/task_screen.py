"""`ringfence tasks`: the table once, or over and over until Ctrl-C."""

import json
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from server.cli import api, task_table
from server.errors import RingfenceError

REFRESH_SECONDS = 1.0


def show(url: str, *, as_json: bool) -> None:
    """Shows the tasks as they are. Raises RingfenceError if they can't be had."""
    tasks, now = _read(url)
    console = Console(highlight=False)
    if as_json:
        _print_json(tasks, now)
    elif console.is_terminal:
        console.print(task_table.table(tasks, now))
    else:
        _print_lines(tasks, now)


def watch(url: str, *, as_json: bool) -> None:
    """Shows the tasks every second until KeyboardInterrupt, which ends it without an error.

    What goes wrong meanwhile is shown, and the next second tries again: the instance that
    answered may have ended, and another answers then.
    """
    console = Console(highlight=False)
    try:
        if as_json or not console.is_terminal:
            _repeat(url, _print_json if as_json else _print_lines)
        else:
            _live(url, console)
    except KeyboardInterrupt:
        return


def _repeat(url: str, show_tasks: Callable[[list[Any], datetime], None]) -> None:
    while True:
        try:
            show_tasks(*_read(url))
        except RingfenceError as error:
            # Beside the output, which a program may read.
            Console(stderr=True, highlight=False, markup=False, soft_wrap=True).print(_failure(error))
        time.sleep(REFRESH_SECONDS)


def _live(url: str, console: Console) -> None:
    shown: RenderableType = Text(f"Waiting for {url}")
    with Live(shown, console=console, auto_refresh=False, vertical_overflow="crop") as live:
        while True:
            try:
                shown = task_table.table(*_read(url))
                live.update(shown, refresh=True)
            except RingfenceError as error:
                # What was seen last stays in sight; the line above it, which no small window cuts
                # off, tells that it is old.
                live.update(Group(Text(_failure(error), style="yellow"), shown), refresh=True)
            time.sleep(REFRESH_SECONDS)


def _read(url: str) -> tuple[list[Any], datetime]:
    answer = api.call(url, "GET", "/tasks")
    return answer.content["tasks"], answer.at


def _failure(error: RingfenceError) -> str:
    return f"No news: {error} (trying again)"


def _print_json(tasks: list[Any], _now: datetime) -> None:
    print(json.dumps({"tasks": tasks}, ensure_ascii=False), flush=True)


def _print_lines(tasks: list[Any], now: datetime) -> None:
    print("\n".join(task_table.lines(tasks, now)), flush=True)
