"""`ringfence tasks`: the table once, or over and over until q or Ctrl-C."""

from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from server.cli import task_table
from server.cli.live import show
from server.cli.live.cluster_view import Size, footer
from server.cli.live.controls import Controls
from server.cli.live.picture import Picture, filtered
from server.cli.live.readers import read_cluster

PARTS = ("tasks",)


def show_once(url: str, *, as_json: bool) -> None:
    """Shows the tasks as they are. Raises RingfenceError if they can't be had."""
    show.show(_view(url), Picture().after(read_cluster(url, PARTS)), as_json=as_json)


def watch(url: str, *, as_json: bool) -> None:
    """Shows the tasks every second until KeyboardInterrupt or q, which end it without an error."""
    show.watch(_view(url), url, as_json=as_json)


def _view(url: str) -> show.View:
    def render(picture: Picture, controls: Controls, _size: Size) -> RenderableType:
        # What was seen last stays in sight; the line above it, which no small window cuts off,
        # tells that it is old.
        notes = [Text(f"No news: {text} (trying again)", "yellow") for _, text in picture.troubles]
        seen = filtered(picture, controls.filter).seen
        if seen is None:
            return Group(*(notes or [Text(f"Waiting for {url}")]))
        if controls != Controls():
            notes.append(footer(controls))
        return Group(*notes, task_table.table(seen.tasks, seen.now))

    return show.View(PARTS, render, _lines, _as_object)


def _lines(picture: Picture) -> list[str]:
    assert picture.seen is not None, "it is printed when the tasks were read"
    return task_table.lines(picture.seen.tasks, picture.seen.now)


def _as_object(picture: Picture) -> dict[str, Any]:
    assert picture.seen is not None, "it is printed when the tasks were read"
    return {"tasks": picture.seen.tasks}
