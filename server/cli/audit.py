"""`ringfence audit`: what operators did, newest first."""

# ruff: noqa: PLC0415 each command imports what it needs, so that --help is quick
from typing import Annotated

import typer

from server.cli.options import CARE, Config, Json, TokenFile
from server.cli.tasks import Url, url_of

RECORDS = 50
RECORDS_MAX = 1000


def audit(
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=RECORDS_MAX, help="How many.")] = RECORDS,
    json: Json = False,
    url: Url = None,
    token_file: TokenFile = None,
    config: Config = None,
) -> None:
    """Show what operators did: who, what, when, from where, and what came of it.

    It takes a token with the scope admin, where the service asks for one.
    """
    import json as json_text

    from server.cli import api

    answer = api.call(url_of(url, config), "GET", f"/audit?limit={limit}").content
    if json:
        typer.echo(json_text.dumps(answer, ensure_ascii=False))
        return
    for one in answer["records"]:
        who = " ".join(filter(None, (one["actorKind"], one["actor"], one["actorName"])))
        place = " at ".join(filter(None, (one["peer"], one["node"])))
        typer.echo(f"{one['at']}  {one['action']:<12} {one['target']}: {one['outcome']}; {who}, from {place}")


def add_to(app: typer.Typer) -> None:
    """Makes this a command of `ringfence` itself."""
    app.command(rich_help_panel=CARE)(audit)
