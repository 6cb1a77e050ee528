"""What is known of the cluster at one moment, and what a reader's news make of it.

Pure: no clock, no I/O. A Picture never changes; a paused screen simply keeps the one it has.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from server.cli.live.sent_events import Sent

EVENTS_KEPT = 500
# The two kinds that tell nothing that happened: one has no id, the other says that some are missing.
PROGRESS, RESET = "progress", "reset"

Object = Mapping[str, Any]


@dataclass(frozen=True)
class Seen:
    """What the service answered. now: its own clock. A part that nobody asked for is empty."""

    now: datetime
    tasks: tuple[Object, ...] = ()
    nodes: tuple[Object, ...] = ()


@dataclass(frozen=True)
class Happened:
    """An event came."""

    event: Sent


@dataclass(frozen=True)
class Trouble:
    """A reader gets nothing. reader: which; None as the text: it does again."""

    reader: str
    text: str | None


@dataclass(frozen=True)
class Told:
    """Something about the connection itself that stands among the events."""

    text: str


News = Seen | Happened | Trouble | Told


@dataclass(frozen=True)
class Line:
    """One line of what happened; is_own: of this program and not of the service."""

    at: str
    kind: str
    text: str
    is_own: bool = False


@dataclass(frozen=True)
class Picture:
    """All that a screen shows. lease_seconds_max: the longest lease that was seen, the full bar."""

    seen: Seen | None = None
    lines: tuple[Line, ...] = ()
    troubles: tuple[tuple[str, str], ...] = ()
    lease_seconds_max: float = 0.0
    events: tuple[Sent, ...] = ()

    def after(self, news: News) -> "Picture":
        """The picture with one more piece of news in it."""
        match news:
            case Seen(nodes=nodes):
                leases = [float(node["leaseSeconds"]) for node in nodes]
                return replace(self, seen=news, lease_seconds_max=max([self.lease_seconds_max, *leases]))
            case Trouble(reader=reader, text=text):
                others = tuple(pair for pair in self.troubles if pair[0] != reader)
                return replace(self, troubles=others if text is None else (*others, (reader, text)))
            case Told(text=text):
                at = self.seen.now.isoformat() if self.seen else ""
                return self._with(Line(at, "-", text, is_own=True))
            case Happened(event=event):
                if event.kind == PROGRESS:
                    return self  # the tasks say it, too
                return replace(self._with(line_of(event)), events=(*self.events, event)[-EVENTS_KEPT:])

    def without_events(self) -> "Picture":
        """The same, once its events were written elsewhere."""
        return replace(self, events=())

    def _with(self, line: Line) -> "Picture":
        return replace(self, lines=(*self.lines, line)[-EVENTS_KEPT:])


def line_of(event: Sent) -> Line:
    """An event in words."""
    data = event.data
    if event.kind == RESET:
        return Line("", "-", "some events are not known here any more", is_own=True)
    if data.get("task") is None:
        what = str(data.get("node") or "")
    else:
        run = f" #{data['run']}" if data.get("run") is not None else ""
        node = f" on {data['node']}" if data.get("node") else ""
        what = f"{data['task']}{run}{node}"
    detail = data.get("detail")
    return Line(str(data.get("at") or ""), event.kind, f"{what}: {detail}" if detail else what)


def filtered(picture: Picture, words: str) -> Picture:
    """The tasks and events that have all the words in them, and the nodes that have, if any has."""
    wanted = words.lower().split()
    if not wanted:
        return picture

    def has(*texts: object) -> bool:
        text = " ".join(str(one) for one in texts).lower()
        return all(word in text for word in wanted)

    seen = picture.seen
    if seen is not None:
        seen = replace(
            seen,
            tasks=tuple(one for one in seen.tasks if has(*_words_of_task(one))),
            nodes=tuple(one for one in seen.nodes if has(one["name"], one["host"], one["state"]))
            or seen.nodes,
        )
    lines = tuple(line for line in picture.lines if has(line.kind.replace("_", " "), line.kind, line.text))
    return replace(picture, seen=seen, lines=lines)


def _words_of_task(task: Object) -> tuple[object, ...]:
    running = task["running"]
    state = "paused" if task["paused"] else "retired" if task.get("retiredAt") else ""
    return (task["name"], task["owner"], state, running and f"running {running['node']} #{running['runId']}")
