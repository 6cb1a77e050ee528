"""The cluster on a screen: nodes with their leases, tasks with their progress, and what happens.

Pure: no clock, no I/O. Everything that came from elsewhere is cleaned, so that no job's
message moves the cursor.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from server.cli.live.controls import Controls
from server.cli.live.picture import Line, Object, Picture, Seen, filtered
from server.cli.task_table import (
    NOTHING,
    STYLES,
    clean,
    in_columns,
    in_order,
    in_percent,
    in_words,
    is_retired,
    outcome,
    progress_message,
    progress_share,
    when,
)

BAR_CELLS = 12
LEASE_LOW_SHARE = 0.5
EVENT_ROWS_MIN = 4
AIRY_ROWS = 30
_SHRINKING = frozenset({"progress, or how it ended", "process"})
KEYS = "q quit   p pause   / filter"
_NODE_STYLES = {"live": "green", "draining": "yellow", "dead": "red"}
_KIND_STYLES = STYLES | {
    "started": "cyan",
    "joined": "green",
    "dead": "red",
    "left": "yellow",
    "draining": "yellow",
    "skipped": "yellow",
    "interrupted": "yellow",
    "cancelled": "yellow",
}
NODE_HEADINGS = ("node", "state", "lease", "owns", "runs", "host", "pid", "version")
LINE_HEADINGS = ("name", "runs on", "elapsed", "progress, or how it ended", "next")


@dataclass(frozen=True)
class Size:
    """The room there is. rows: None where the page may be as long as it likes."""

    columns: int
    rows: int | None = None
    is_ascii: bool = False


def render(picture: Picture, controls: Controls, size: Size, url: str) -> RenderableType:
    """The whole screen, at most as large as the room there is."""
    troubles = [Text(f"No news: {clean(text)} (trying again)", "yellow") for _, text in picture.troubles]
    seen = picture.seen
    if seen is None:
        return Group(*(troubles or [Text(f"Waiting for {url}")]), footer(controls))
    shown = filtered(picture, controls.filter)
    assert shown.seen is not None, "a filter takes away none of the parts"
    rows = _shares(shown, size, len(troubles))
    space = [Text()] if _is_airy(size) else []
    parts: list[RenderableType] = [_heading(seen, url), *troubles, *space]
    parts += [_nodes(shown, rows.nodes, size), *space, _tasks(shown.seen, rows.tasks, size)]
    parts += [*space, Text("happened", "dim"), *_events(shown.lines, rows.events)]
    return Group(*parts, *([footer(controls)] if size.rows is not None else []))


def _is_airy(size: Size) -> bool:
    """Whether there is room for empty lines between the parts."""
    return size.rows is None or size.rows >= AIRY_ROWS


@dataclass(frozen=True)
class _Rows:
    nodes: int
    tasks: int
    events: int


def _shares(picture: Picture, size: Size, troubles: int) -> _Rows:
    """How many rows each part gets: what happens at least a few, nodes at most half of the others."""
    assert picture.seen is not None
    nodes, tasks = len(picture.seen.nodes), len(picture.seen.tasks)
    if size.rows is None:
        return _Rows(nodes, tasks, max(1, len(picture.lines)))
    # The heading, those of the three parts, the keys.
    room = max(0, size.rows - 5 - troubles - (3 if _is_airy(size) else 0))
    others = max(0, room - EVENT_ROWS_MIN)
    for_nodes = min(nodes, max(others // 2, others - tasks))
    for_tasks = min(tasks, others - for_nodes)
    return _Rows(for_nodes, for_tasks, room - for_nodes - for_tasks)


def _heading(seen: Seen, url: str) -> Text:
    live = sum(node["state"] == "live" for node in seen.nodes)
    running = sum(task["running"] is not None for task in seen.tasks)
    words = f"{url}   {live} of {len(seen.nodes)} nodes live   {running} of {len(seen.tasks)} tasks run"
    return Text(f"{words}   {seen.now:%H:%M:%S} UTC", "bold", no_wrap=True, overflow="ellipsis")


def footer(controls: Controls) -> Text:
    """What the keys do, and what they did."""
    if controls.typing is not None:
        return Text(f"/{controls.typing}_   Enter keeps the filter, Esc drops it", "reverse", no_wrap=True)
    words = f"   only: {controls.words} (Esc: all)" if controls.words else ""
    paused = "PAUSED, p goes on   " if controls.is_paused else ""
    return Text(f"{paused}{KEYS}{words}", "reverse" if paused else "dim", no_wrap=True, overflow="ellipsis")


def _nodes(picture: Picture, rows: int, size: Size) -> Table:
    assert picture.seen is not None
    table = _table("node", "state", "lease", "", "owns", "runs", "process")
    shown, more = _cut(picture.seen.nodes, rows)
    for node in shown:
        seconds = float(node["leaseSeconds"])
        share = min(1.0, seconds / picture.lease_seconds_max) if picture.lease_seconds_max else 0.0
        style = "green" if share >= LEASE_LOW_SHARE else "yellow"
        table.add_row(
            _text(node["name"]),
            _text(node["state"], _NODE_STYLES.get(node["state"], "")),
            bar(share, style, is_ascii=size.is_ascii),
            _text(f"{seconds:.1f} s" if seconds else "over"),
            _text(len(node["owns"])),
            _text(len(node["runs"])),
            _text(f"{node['pid']} on {node['host']}"),
        )
    return _with_rest(table, more)


def _tasks(seen: Seen, rows: int, size: Size) -> Table:
    table = _table("task", "runs on", "elapsed", "progress, or how it ended", "next")
    tasks = in_order(seen.tasks)
    if len(tasks) > rows:
        tasks.sort(key=lambda task: task["running"] is None)  # what rests is left out first
    shown, more = _cut(tasks, rows)
    for task in shown:
        running = task["running"]
        style = "dim" if is_retired(task) else "bold" if running else ""
        table.add_row(
            _text(task["name"]),
            _text(f"{running['node']} #{running['runId']}" if running else NOTHING),
            _text(in_words(running["elapsedSeconds"]) if running else NOTHING),
            _course(task, seen.now, size),
            _text(when(task, seen.now), "yellow" if task["paused"] else ""),
            style=style,
        )
    return _with_rest(table, more)


def _course(task: Object, now: datetime, size: Size) -> Text:
    """How far a run is; of a task that rests, how its last one ended."""
    running, last = task["running"], task["lastRun"]
    if running is None:
        return _text(outcome(last, now), STYLES.get((last or {}).get("status", ""), ""))
    share, message = progress_share(running["progress"]), progress_message(running["progress"])
    if share is None:
        return _text(message or NOTHING)
    shown = bar(share, "cyan", is_ascii=size.is_ascii)
    return shown.append(f" {in_percent(share):>4} {message}".rstrip())


def bar(share: float, style: str, *, is_ascii: bool = False) -> Text:
    """A share from 0 to 1 as a bar that can be read without colours as well."""
    full = int(share * BAR_CELLS)
    filled, empty = ("#", ".") if is_ascii else ("█", "░")
    text = Text(filled * full, style, no_wrap=True, overflow="ellipsis")
    return text.append(empty * (BAR_CELLS - full), "dim")


def _events(lines: Sequence[Line], rows: int) -> list[Text]:
    if not rows:
        return []
    texts = []
    for line in lines[-rows:]:
        kind = line.kind.replace("_", " ")
        text = Text(f"{_clock(line.at)}  ", "dim", no_wrap=True, overflow="ellipsis")
        text.append(f"{kind:<11} ", _KIND_STYLES.get(line.kind, ""))
        texts.append(text.append(clean(line.text), "yellow" if line.is_own else ""))
    return texts or [Text("nothing yet", "dim")]


def _clock(moment: str) -> str:
    """The time of day of an RFC 3339 moment, to the second."""
    return moment[11:19].ljust(8)


def _table(*headings: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    for heading in headings:
        # What gives way in a narrow terminal: a name or a number that is cut can't be copied.
        table.add_column(Text(heading, no_wrap=True), no_wrap=heading not in _SHRINKING)
    return table


def _cut(items: Sequence[Object], rows: int) -> tuple[Sequence[Object], int]:
    """What fits, and how many do not; the line that says so takes a row as well."""
    if len(items) <= rows or not rows:
        return items[:rows], 0
    return items[: rows - 1], len(items) - rows + 1


def _with_rest(table: Table, more: int) -> Table:
    if more:
        table.add_row(_text(f"+ {more} more", "dim"))
    return table


def _text(content: object, style: str = "") -> Text:
    return Text(clean(str(content)), style, no_wrap=True, overflow="ellipsis")


def lines(picture: Picture) -> list[str]:
    """Where nobody watches: the same in plain columns."""
    seen = picture.seen
    assert seen is not None, "there is something to show"
    return [
        *in_columns([NODE_HEADINGS, *map(_node_cells, seen.nodes)]),
        "",
        *in_columns([LINE_HEADINGS, *_task_cells(seen)]),
        "",
        *(text.plain for text in _events(picture.lines, max(1, len(picture.lines)))),
    ]


def _node_cells(node: Object) -> tuple[str, ...]:
    return (
        clean(node["name"]),
        node["state"],
        f"{node['leaseSeconds']:.1f} s",
        str(len(node["owns"])),
        str(len(node["runs"])),
        clean(node["host"]),
        str(node["pid"]),
        clean(node["version"]),
    )


def _task_cells(seen: Seen) -> Iterable[tuple[str, ...]]:
    size = Size(columns=0, is_ascii=True)
    for task in in_order(seen.tasks):
        running = task["running"]
        yield (
            clean(task["name"]),
            f"{running['node']} #{running['runId']}" if running else NOTHING,
            in_words(running["elapsedSeconds"]) if running else NOTHING,
            _course(task, seen.now, size).plain,
            when(task, seen.now),
        )
