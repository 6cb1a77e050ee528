"""The commands `ringfence backup` and `ringfence restore`; what they do stands in backup.py."""

# ruff: noqa: PLC0415 each command imports what it needs, so that --help is quick
from pathlib import Path
from typing import Annotated

import typer

from server.cli.options import DATABASE, Config, settings_for

Role = Annotated[
    str,
    typer.Option(
        "--role",
        metavar="NAME",
        help="What the service will connect as on the other server: made if it is missing, given its rights.",
    ),
]


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Replaced once the new one is whole.")],
    config: Config = None,
) -> None:
    """Write the whole database, as it is at this moment, into a file; the service goes on.

    The format is pg_dump's own (custom), which pg_restore reads as well. Roles and
    passwords are not in it; everything else is, so keep it as you keep the database.
    """
    from server.cli.backup import write
    from server.cli.screen import Screen

    write(settings_for(config), file, Screen())


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that `ringfence backup` wrote.")],
    url: Annotated[
        str | None,
        typer.Option(
            "--url",
            metavar="URL",
            help="Another database, as the role that is to own the tables; a password may come from "
            "PGPASSWORD. Without it the configured database.",
        ),
    ] = None,
    role: Role = "ringfence",
    config: Config = None,
) -> None:
    """Fill an empty database from a backup: all of it, or nothing.

    A database that is not empty is refused and stays as it is. An older backup is
    migrated to what this version needs.
    """
    from server.cli.backup import read, target_of
    from server.cli.screen import Screen

    read(settings_for(config), file, target_of(url, role) if url else None, Screen())


def add_to(app: typer.Typer) -> None:
    """Makes these two commands of an application."""
    for command in (backup, restore):
        app.command(rich_help_panel=DATABASE)(command)
