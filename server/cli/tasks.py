"""`ringfence top`, `tasks`, `run`, `pause`, `resume`, `cancel`: the cluster from a terminal.

All of them speak to the HTTP API alone, so they work from anywhere that reaches it.
A refusal is told in the service's own words and ends with exit code 1.
"""

# ruff: noqa: PLC0415 each command imports what it needs, so that --help is quick
import json as json_text
from typing import Annotated, Any
from urllib.parse import quote

import typer

from server.cli.options import STEER, CaFile, Config, TokenFile, settings_for
from server.errors import ConfigurationError

Url = Annotated[
    str | None,
    typer.Option(
        "--url", metavar="URL", help="The service, or one instance of it; without it the configured one."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print what the service answers, as JSON.")]


def _configured_tasks(incomplete: str) -> list[str]:
    """What the Tab key offers: the configuration's own tasks, so that no service has to be asked."""
    try:
        names = settings_for(None).tasks
    except ConfigurationError:
        return []  # a Tab is no place to complain
    return [name for name in names if name.startswith(incomplete)]


TaskName = Annotated[
    str,
    typer.Argument(
        metavar="TASK", help="Its name, as `ringfence tasks` shows it.", autocompletion=_configured_tasks
    ),
]


def top(
    once: Annotated[bool, typer.Option("--once", help="Show it once, and end.")] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print JSON: an object a second, with the events since the last.")
    ] = False,
    url: Url = None,
    token_file: TokenFile = None,
    ca_file: CaFile = None,
    config: Config = None,
) -> None:
    """Show the cluster live: nodes and their leases, tasks and their progress, and what happens.

    Keys: q ends it, p holds the picture still, / keeps what has some words in it. Works from
    any machine that reaches the service, and goes on when an instance dies:
    `RINGFENCE_TOKEN=… ringfence top --url http://bank.example:8000`.
    """
    from server.cli.top import top as run_top

    run_top(url_of(url, config), once=once, as_json=json)


def tasks(
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Refresh each second, until q or Ctrl-C.")
    ] = False,
    json: Json = False,
    url: Url = None,
    token_file: TokenFile = None,
    ca_file: CaFile = None,
    config: Config = None,
) -> None:
    """Show all tasks: who owns each, where it runs, how far it is, how it ended, when it is next.

    In a terminal a table; elsewhere plain lines. With --watch an instance, or the whole
    service, may end meanwhile: it says so and goes on.
    """
    from server.cli import task_screen

    (task_screen.watch if watch else task_screen.show_once)(url_of(url, config), as_json=json)


def run(
    task: TaskName,
    json: Json = False,
    url: Url = None,
    token_file: TokenFile = None,
    ca_file: CaFile = None,
    config: Config = None,
) -> None:
    """Run a task now, out of turn; its schedule stays as it is."""
    answer = _post(url_of(url, config), f"/tasks/{_in_path(task)}/run")
    owner = answer["owner"]
    _say(
        answer,
        json,
        f"{task} is due now" + (f", and starts on {owner}." if owner else "; no node has it yet."),
    )


def pause(
    task: TaskName,
    json: Json = False,
    url: Url = None,
    token_file: TokenFile = None,
    ca_file: CaFile = None,
    config: Config = None,
) -> None:
    """Let a task start no more runs; one that runs goes on."""
    answer = _post(url_of(url, config), f"/tasks/{_in_path(task)}/pause")
    running = answer["running"]
    rest = f"; run {running['runId']} on {running['node']} goes on." if running else "."
    _say(answer, json, f"{task} is paused{rest}")


def resume(
    task: TaskName,
    json: Json = False,
    url: Url = None,
    token_file: TokenFile = None,
    ca_file: CaFile = None,
    config: Config = None,
) -> None:
    """Let a paused task run again, from its next time on."""
    answer = _post(url_of(url, config), f"/tasks/{_in_path(task)}/resume")
    next_time = answer["nextRunAt"]
    rest = f"its next time is {next_time}." if next_time else "no configuration names it, so it rests."
    _say(answer, json, f"{task} is on again; {rest}")


def cancel(
    run_id: Annotated[
        int, typer.Argument(metavar="RUN_ID", help="The number beside the node that runs it.", min=1)
    ],
    json: Json = False,
    url: Url = None,
    token_file: TokenFile = None,
    ca_file: CaFile = None,
    config: Config = None,
) -> None:
    """Stop a run; its task starts again at its next time."""
    answer = _post(url_of(url, config), f"/runs/{run_id}/cancel")
    _say(answer, json, f"Run {run_id} of {answer['task']} is being stopped on {answer['node']}.")


def log_level(
    level: Annotated[
        str | None, typer.Argument(metavar="[LEVEL]", help="debug, info, warning or error; without it: show.")
    ] = None,
    seconds: Annotated[
        int | None,
        typer.Option(
            "--seconds",
            min=1,
            max=86_400,
            help="Back to the configured level after so long; else at a restart.",
        ),
    ] = None,
    node: Annotated[str | None, typer.Option("--node", help="On this node alone, such as node-3.")] = None,
    json: Json = False,
    url: Url = None,
    token_file: TokenFile = None,
    ca_file: CaFile = None,
    config: Config = None,
) -> None:
    """Show or change how much the nodes write to their logs, while they run.

    Each node is asked at the address that it gives in GET /nodes.
    """
    from server.cli.log_level import ask_all

    answers = ask_all(url_of(url, config), node, level, seconds)
    if json:
        typer.echo(json_text.dumps({"nodes": answers}))
        return
    for answer in answers:
        left = f", for {answer['seconds']:.0f} s" if answer["seconds"] is not None else ""
        typer.echo(f"{answer['node']}: {answer['level']}{left} (configured: {answer['configured']})")


def add_to(app: typer.Typer) -> None:
    """Makes these commands of `ringfence` itself."""
    for command in (top, tasks, run, pause, resume, cancel, log_level):
        app.command(rich_help_panel=STEER)(command)


def url_of(url: str | None, config: str | None) -> str:
    if url is not None:
        return url.rstrip("/")
    from server.cli.readiness import address

    return address(settings_for(config))


def _post(url: str, path: str) -> dict[str, Any]:
    from server.cli import api

    return api.call(url, "POST", path).content


def _say(answer: dict[str, Any], as_json: bool, words: str) -> None:
    typer.echo(json_text.dumps(answer, ensure_ascii=False) if as_json else words)


def _in_path(task: str) -> str:
    return quote(task, safe="")
