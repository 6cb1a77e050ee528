"""The tasks as a table: what `GET /tasks` answers, in words.

Pure: no clock, no I/O. `now` is the service's clock.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.table import Table
from rich.text import Text

from server.durations import format_duration

HEADINGS = ("name", "owner", "runs on", "elapsed", "next", "schedule", "last outcome", "progress")
NOTHING = "-"
MESSAGE_CHARACTERS_MAX = 60
FRAME = "  File "  # so begins what a traceback says of each call
# What gives way in a narrow terminal: a name or a number that is cut can't be copied.
_SHRINKING = frozenset({"schedule", "last outcome", "progress"})
STYLES = {"succeeded": "green", "failed": "red", "timed_out": "red", "lost": "red"}


def cells(task: Mapping[str, Any], now: datetime) -> tuple[str, ...]:
    """The words of one task, in the order of HEADINGS."""
    running = task["running"]
    return (
        clean(task["name"]),
        task["owner"] or NOTHING,
        f"{running['node']} #{running['runId']}" if running else NOTHING,
        in_words(running["elapsedSeconds"]) if running else NOTHING,
        when(task, now),
        clean(task["schedule"]),
        outcome(task["lastRun"], now),
        progress(running["progress"]) if running else NOTHING,
    )


def table(tasks: Iterable[Mapping[str, Any]], now: datetime) -> Table:
    """For a terminal: a line for each task, whose long columns are cut where there is no room."""
    shown = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    for heading in HEADINGS:
        shown.add_column(Text(heading, no_wrap=True), no_wrap=heading not in _SHRINKING)
    for task in in_order(tasks):
        words = dict(zip(HEADINGS, cells(task, now), strict=True))
        texts = {name: Text(word, no_wrap=True, overflow="ellipsis") for name, word in words.items()}
        texts["last outcome"].stylize(STYLES.get((task["lastRun"] or {}).get("status", ""), ""))
        texts["next"].stylize("yellow" if task["paused"] else "")
        style = "dim" if is_retired(task) else "bold" if task["running"] else ""
        shown.add_row(*texts.values(), style=style)
    return shown


def lines(tasks: Iterable[Mapping[str, Any]], now: datetime) -> list[str]:
    """Where nobody watches: a line for the headings and one for each task, in columns."""
    return in_columns([HEADINGS, *(cells(task, now) for task in in_order(tasks))])


def in_columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """A line for each row, each column as wide as the widest of its words."""
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return [
        "  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def in_order(tasks: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """As they come, and those that no configuration names any more at the end."""
    return sorted(tasks, key=is_retired)


def is_retired(task: Mapping[str, Any]) -> bool:
    """Whether no configuration names the task any more; a service of the release before does not say."""
    return task.get("retiredAt") is not None


def when(task: Mapping[str, Any], now: datetime) -> str:
    """When it is next, or why it is not."""
    if is_retired(task):
        return "retired"
    return "paused" if task["paused"] else next_time(task["nextRunAt"], now)


def progress(report: Mapping[str, Any] | None) -> str:
    """How far a run is, and what it says: such as "42% 21 of 50 files"."""
    share, message = progress_share(report), progress_message(report)
    return " ".join(filter(None, (in_percent(share), message))) or NOTHING


def progress_share(report: Mapping[str, Any] | None) -> float | None:
    """How far a run is, from 0 to 1; None if it does not tell."""
    done, total = (report or {}).get("done"), (report or {}).get("total")
    if isinstance(done, int | float) and isinstance(total, int | float) and total > 0:
        return min(1.0, max(0.0, done / total))
    return None


def in_percent(share: float | None) -> str:
    """Down, so that 100% is said of nothing that still has something to do; empty for None."""
    return "" if share is None else f"{int(100 * share)}%"


def progress_message(report: Mapping[str, Any] | None) -> str:
    """What a run says about itself; empty if nothing."""
    return clean(str((report or {}).get("message") or ""))


def outcome(run: Mapping[str, Any] | None, now: datetime) -> str:
    """How a task's last run ended, how long ago, and why if it failed."""
    if run is None:
        return NOTHING
    if run["finishedAt"] is None:
        return str(run["status"])
    ago = in_words((now - datetime.fromisoformat(run["finishedAt"])).total_seconds())
    why = f": {clean(reason(run['error']))}" if run["error"] else ""
    return f"{run['status'].replace('_', ' ')} {ago} ago{why}"


def reason(error: str) -> str:
    """The line of an error that says why: of a traceback the one that names the exception."""
    told = error.splitlines()
    frames = [place for place, line in enumerate(told) if line.startswith(FRAME)]
    after = told[frames[-1] + 1 :] if frames else told
    return next((line for line in after if line.strip() and not line[0].isspace()), told[-1] if told else "")


def next_time(moment: str | None, now: datetime) -> str:
    """How long it is until a task is due."""
    if moment is None:
        return NOTHING
    seconds = (datetime.fromisoformat(moment) - now).total_seconds()
    return f"in {in_words(seconds)}" if seconds >= 1 else "due"


def in_words(seconds: float) -> str:
    """Whole seconds; never below none, which two clocks could make of it."""
    return format_duration(int(max(0.0, seconds)))


def clean(text: str) -> str:
    """The first line of a text that a job wrote, without what would move a terminal's cursor."""
    line = without_control(next(iter(text.splitlines()), "")).strip()
    return line if len(line) <= MESSAGE_CHARACTERS_MAX else line[: MESSAGE_CHARACTERS_MAX - 1] + "…"


def without_control(text: str) -> str:
    """A text on one line, with blanks for what is no letter."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
