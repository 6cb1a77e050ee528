"""`ringfence top`: the cluster live, from the HTTP API alone."""

from typing import Any

from rich.console import RenderableType

from server.cli.live import cluster_view
from server.cli.live.cluster_view import Size
from server.cli.live.controls import Controls
from server.cli.live.picture import Happened, Picture
from server.cli.live.readers import read_cluster, recent_events
from server.cli.live.show import View, show, watch

PARTS = ("nodes", "tasks")


def top(url: str, *, once: bool, as_json: bool) -> None:
    """Shows nodes, tasks and events once, or until q or Ctrl-C. Raises RingfenceError."""
    view = _view(url)
    if not once:
        watch(view, url, as_json=as_json)
        return
    picture = Picture().after(read_cluster(url, PARTS))
    for event in recent_events(url):
        picture = picture.after(Happened(event))
    show(view, picture, as_json=as_json)


def _view(url: str) -> View:
    def render(picture: Picture, controls: Controls, size: Size) -> RenderableType:
        return cluster_view.render(picture, controls, size, url)

    return View(PARTS, render, cluster_view.lines, _as_object, follows_events=True, fills_screen=True)


def _as_object(picture: Picture) -> dict[str, Any]:
    seen = picture.seen
    assert seen is not None, "it is printed when the cluster was read"
    events = [event.data for event in picture.events]
    return {"at": seen.now.isoformat(), "nodes": seen.nodes, "tasks": seen.tasks, "events": events}
