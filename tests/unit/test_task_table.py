"""The table of tasks in words: what each cell says, and what it never says."""

from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console

from server.cli.task_table import HEADINGS, cells, lines, next_time, outcome, progress, table

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
TRACEBACK = """Traceback (most recent call last):
  File "child.py", line 34, in perform
    result = function(Context(spec, channel), **spec.params)
             ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "mine.py", line 12, in look
    return {}["missing"]
           ~~^^^^^^^^^^^
KeyError: 'missing'
"""


def task(**changes: Any) -> dict[str, Any]:
    """A task as the API sends it, that rests."""
    return {
        "name": "pi",
        "schedule": "every 5 minutes",
        "owner": "node-2",
        "nextRunAt": "2026-05-01T12:03:10Z",
        "running": None,
        "lastRun": None,
        "paused": False,
        "retiredAt": None,
    } | changes


def running(**changes: Any) -> dict[str, Any]:
    """Its run, as the API sends it."""
    return {"runId": 41, "node": "node-3", "elapsedSeconds": 75.9, "progress": None} | changes


def ended(status: str = "succeeded", error: str | None = None) -> dict[str, Any]:
    """A run that ended two minutes ago."""
    return {"status": status, "finishedAt": "2026-05-01T11:58:00Z", "error": error}


def words(**changes: Any) -> dict[str, str]:
    return dict(zip(HEADINGS, cells(task(**changes), NOW), strict=True))


def test_a_task_that_rests_says_whose_it_is_and_when_it_is_next() -> None:
    assert words() == {
        "name": "pi",
        "owner": "node-2",
        "runs on": "-",
        "elapsed": "-",
        "next": "in 3m 10s",
        "schedule": "every 5 minutes",
        "last outcome": "-",
        "progress": "-",
    }


def test_a_running_task_says_where_under_which_number_since_when_and_how_far() -> None:
    said = words(running=running(progress={"done": 21, "total": 50, "message": "21 files"}))
    assert said["runs on"] == "node-3 #41"
    assert said["elapsed"] == "1m 15s"
    assert said["progress"] == "42% 21 files"


def test_a_task_without_an_owner_and_a_paused_one_say_so() -> None:
    assert words(owner=None)["owner"] == "-"
    assert words(paused=True, nextRunAt=None)["next"] == "paused"


def test_a_retired_task_says_so_and_comes_last() -> None:
    retired = task(name="a_former_one", retiredAt="2026-04-01T00:00:00Z", nextRunAt=None, owner=None)
    assert words(**retired)["next"] == "retired"
    assert [line.split()[0] for line in lines([retired, task()], NOW)] == ["name", "pi", "a_former_one"]
    older = task()
    del older["retiredAt"]
    assert lines([older], NOW) == lines([task()], NOW), "a service of the release before does not say"


@pytest.mark.parametrize(
    ("report", "said"),
    [
        (None, "-"),
        ({"done": 999, "total": 1000, "message": ""}, "99%"),
        ({"done": 0, "total": 0, "message": "looking"}, "looking"),
        ({"done": 3, "total": 2, "message": ""}, "100%"),
        ({"anything": "else"}, "-"),
    ],
)
def test_progress_is_a_share_rounded_down_and_a_message(report: dict[str, Any] | None, said: str) -> None:
    assert progress(report) == said


@pytest.mark.parametrize(
    ("run", "said"),
    [
        (None, "-"),
        (ended(), "succeeded 2m ago"),
        (ended("timed_out"), "timed out 2m ago"),
        (ended("failed", "no room\nfor it"), "failed 2m ago: no room"),
        (ended("failed", TRACEBACK), "failed 2m ago: KeyError: 'missing'"),
        (ended("failed", f"{TRACEBACK}the memory ended\n"), "failed 2m ago: KeyError: 'missing'"),
        (ended("failed", '  File "a.py", line 1\n    def f(\n'), "failed 2m ago: def f("),
        (ended("failed", "\n"), "failed 2m ago: "),
        ({"status": "running", "finishedAt": None, "error": None}, "running"),
    ],
)
def test_the_outcome_is_a_status_an_age_and_the_line_that_says_why(
    run: dict[str, Any] | None, said: str
) -> None:
    assert outcome(run, NOW) == said


@pytest.mark.parametrize(
    ("moment", "said"),
    [
        (None, "-"),
        ("2026-05-01T14:00:00.9Z", "in 2h"),
        ("2026-05-01T12:00:00.5Z", "due"),
        ("2026-05-01T11:00:00Z", "due"),
    ],
)
def test_the_next_time_counts_down_and_is_never_negative(moment: str | None, said: str) -> None:
    assert next_time(moment, NOW) == said


def test_what_a_job_wrote_cannot_move_the_cursor_nor_fill_the_screen() -> None:
    said = progress({"message": "\x1b[2J\x07red\nsecond line"})
    assert said == "[2J red"
    assert len(progress({"message": "long " * 100})) == 60


def test_plain_lines_are_one_a_task_in_columns() -> None:
    shown = lines([task(), task(name="a_longer_name", running=running())], NOW)
    assert len(shown) == 3
    assert {line.index("node-2") for line in shown[1:]} == {shown[0].index("owner")}


@pytest.mark.parametrize("width", [60, 80, 200])
def test_a_task_takes_one_line_however_narrow_the_terminal_is(width: int) -> None:
    console = Console(width=width, color_system=None)
    with console.capture() as captured:
        console.print(table([task(lastRun=ended("failed", "why " * 30)), task(running=running())], NOW))
    shown = captured.get().splitlines()
    assert len(shown) == 3
    assert "node-3 #41" in shown[2]
    assert all(len(line) <= width for line in shown)


def test_markup_in_a_message_is_text() -> None:
    console = Console(width=200, color_system=None)
    with console.capture() as captured:
        console.print(table([task(running=running(progress={"message": "[bold]x[/nonsense]"}))], NOW))
    assert "[bold]x[/nonsense]" in captured.get()
