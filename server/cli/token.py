"""`ringfence token …`: who may ask for what."""

# ruff: noqa: PLC0415 each command imports what it needs, so that --help is quick
from typing import TYPE_CHECKING, Annotated

import typer

from server.cli.options import Config, Json, settings_for
from server.errors import ConfigurationError

if TYPE_CHECKING:
    from server.access.administration import ListedToken, Wanted
    from server.settings import Settings

NAME_CHARACTERS_MAX = 100
LINE_CHARACTERS = 300

app = typer.Typer(
    help="Make, list and revoke tokens.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _settings(config: str | None) -> "Settings":
    """The settings, of a database that runs as far as that is ours to say."""
    from server.cli.migrate import check_running

    settings = settings_for(config)
    check_running(settings)
    return settings


@app.command()
def create(
    scope: Annotated[
        list[str],
        typer.Option(
            metavar="SCOPE", help="money, read, operate or admin; several by commas, or given again."
        ),
    ],
    name: Annotated[str, typer.Option(help="Whose it is, or for what; shown in lists and records.")] = "",
    user: Annotated[
        int | None, typer.Option(min=1, metavar="ID", help="Only for this account: money and read.")
    ] = None,
    expires: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Such as 90d or 12h; without it never.")
    ] = None,
    json: Json = False,
    config: Config = None,
) -> None:
    """Make a token and show it, this once.

    Only a digest of it is kept. Send it as `Authorization: Bearer rf_…`, or put it into
    RINGFENCE_TOKEN for the commands here.
    """
    import msgspec

    from server.access import administration
    from server.local_user import local_caller
    from server.postgres.urls import owner_url

    wish = wanted(scope, name, user, expires)
    made = administration.create(owner_url(_settings(config)), wish, local_caller())
    if json:
        typer.echo(msgspec.json.encode(made).decode())
        return
    # The token alone on the output, so that it can be written into a file.
    typer.echo(made.token)
    until = f"until {made.expires_at}" if made.expires_at else "until it is revoked"
    account = f", of account {made.user_id} alone" if made.user_id is not None else ""
    typer.echo(
        f"Valid {until}, for {', '.join(made.scopes)}{account}. It is not shown again; "
        f"`ringfence token revoke {made.id}` ends it.",
        err=True,
    )


def wanted(scopes: list[str], name: str, user: int | None, expires: str | None) -> "Wanted":
    """The token that the options ask for. Raises ConfigurationError."""
    from server.access.administration import Wanted
    from server.access.tokens import fault_of_scopes
    from server.durations import parse_duration

    given = [one.strip() for text in scopes for one in text.split(",") if one.strip()]
    fault = fault_of_scopes(given, user)
    if fault is not None:
        raise ConfigurationError(f"--scope: {fault}")
    if len(name) > NAME_CHARACTERS_MAX or not name.isprintable():
        raise ConfigurationError(f"--name: expected up to {NAME_CHARACTERS_MAX} printable characters")
    try:
        lifetime_seconds = None if expires is None else parse_duration(expires)
    except ValueError as error:
        raise ConfigurationError(f"--expires: {error}") from None
    return Wanted(scopes=given, name=name, user_id=user, lifetime_seconds=lifetime_seconds)


@app.command("list")
def list_(json: Json = False, config: Config = None) -> None:
    """Show all tokens, the newest first, without their secrets."""
    import msgspec

    from server.access import administration
    from server.postgres.urls import application_url

    tokens = administration.listed(application_url(_settings(config)))
    if json:
        typer.echo(msgspec.json.encode({"tokens": tokens}).decode())
        return
    if not tokens:
        typer.echo("There is no token. `ringfence token create --scope …` makes one.")
        return
    _show(tokens)


def _show(tokens: "list[ListedToken]") -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for heading in ("id", "name", "scopes", "account", "state", "created", "expires", "last used"):
        table.add_column(heading, no_wrap=True)
    for one in tokens:
        account = "" if one.user_id is None else str(one.user_id)
        cells = (one.id, one.name, ",".join(one.scopes), account, one.state, one.created_at)
        ends = one.revoked_at if one.state == "revoked" else one.expires_at
        table.add_row(*map(Text, (*cells, ends or "never", one.last_used_at or "never")))
    # A line for each token, however narrow the terminal, or none at all: programs read it, too.
    Console(highlight=False, width=LINE_CHARACTERS).print(table, soft_wrap=True)


@app.command()
def revoke(
    token: Annotated[
        str, typer.Argument(metavar="ID", help="The twelve characters after rf_, as `list` shows them.")
    ],
    json: Json = False,
    config: Config = None,
) -> None:
    """End a token for ever; every instance refuses it within a second or two."""
    import msgspec

    from server.access import administration
    from server.access.tokens import named_id
    from server.local_user import local_caller
    from server.postgres.urls import owner_url

    token_id = named_id(token)
    if token_id is None:
        raise ConfigurationError("expected the id of a token: the twelve characters after rf_")
    outcome = administration.revoke(owner_url(_settings(config)), token_id, local_caller())
    if json:
        typer.echo(msgspec.json.encode({"id": token_id, "outcome": outcome}).decode())
        return
    done = "is revoked" if outcome == "revoked" else "was revoked before"
    typer.echo(f"Token {token_id} {done}.")
