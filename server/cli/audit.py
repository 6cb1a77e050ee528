"""`ringfence audit`: what operators did, newest first."""

# ruff: noqa: PLC0415 each command imports what it needs, so that --help is quick
from typing import Annotated, Any
from urllib.parse import urlencode

import typer

from server.cli.options import CARE, CaFile, Config, Json, TokenFile
from server.cli.tasks import Url, url_of

RECORDS = 50
RECORDS_MAX = 100_000
PAGE_RECORDS = 1000

Moment = Annotated[
    str | None,
    typer.Option(metavar="WHEN", help="A moment such as 2026-01-31T08:00:00Z, or how long ago: 12h, 7d."),
]


def audit(  # noqa: PLR0913, PLR0917 options of a command, each by its name
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=RECORDS_MAX, help="How many.")] = RECORDS,
    who: Annotated[
        str | None, typer.Option(help="Of this actor alone: the id or the name of a token, or ann@host.")
    ] = None,
    action: Annotated[str | None, typer.Option(help="Of this kind alone, such as task.pause.")] = None,
    since: Moment = None,
    until: Moment = None,
    json: Json = False,
    url: Url = None,
    token_file: TokenFile = None,
    ca_file: CaFile = None,
    config: Config = None,
) -> None:
    """Show what operators did: who, what, when, from where, and what came of it.

    It takes a token with the scope admin, where the service asks for one.
    """
    import json as json_text

    from server.cli.task_table import without_control

    base = url_of(url, config)
    query = {"who": who, "action": action, "since": _moment(since, base), "until": _moment(until, base)}
    answer = _read(base, {name: value for name, value in query.items() if value is not None}, limit)
    if json:
        typer.echo(json_text.dumps(answer, ensure_ascii=False))
        return
    for one in answer["records"]:
        by = " ".join(filter(None, (one["actorKind"], one["actor"], one["actorName"])))
        place = " at ".join(filter(None, (one["peer"], one["node"])))
        line = f"{one['at']}  {one['action']:<16} {one['target']}: {one['outcome']}; {by}, from {place}"
        typer.echo(without_control(line))  # some of it are other people's words, and this is a terminal


def _read(url: str, query: dict[str, str], limit: int) -> dict[str, Any]:
    """So many records, page by page; next: as of the last page."""
    from server.cli import api

    records: list[Any] = []
    cursor: str | None = None
    while True:
        asked = query | {"limit": str(min(PAGE_RECORDS, limit - len(records)))}
        asked |= {} if cursor is None else {"cursor": cursor}
        page = api.call(url, "GET", f"/audit?{urlencode(asked)}").content
        records += page["records"]
        cursor = page["next"]
        if cursor is None or len(records) >= limit:
            return {"records": records, "next": cursor}


def _moment(text: str | None, url: str) -> str | None:
    """A moment as the service takes it. How long ago is counted by the service's clock."""
    from datetime import timedelta

    from server.cli import api
    from server.durations import parse_duration

    if text is None:
        return None
    try:
        seconds = parse_duration(text)
    except ValueError:
        return text  # a moment, then; the service judges it
    now = api.call(url, "GET", "/healthz").at
    return (now - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def add_to(app: typer.Typer) -> None:
    """Makes this a command of `ringfence` itself."""
    app.command(rich_help_panel=CARE)(audit)
