"""`ringfence db …`: the embedded database by itself, and a psql on whichever database is used."""

# ruff: noqa: PLC0415 each command imports what it needs, so that --help is quick
import os
import shutil
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from server.cli.backup_commands import Role
from server.cli.options import Config, Json, settings_for
from server.errors import DatabaseUnavailableError, RingfenceError
from server.postgres.embedded import EmbeddedServer
from server.settings import Settings

EXIT_NOT_RUNNING = 3

app = typer.Typer(
    help="Start, stop and look into the database.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Owner = Annotated[bool, typer.Option("--owner", help="As the owner of the tables, as migrations connect.")]


@app.command()
def start(config: Config = None) -> None:
    """Start the embedded database, detached, and make it at the first time."""
    settings = settings_for(config)
    server = _embedded(settings)
    started = server.start()
    if started:
        _record(settings, "database.start", str(server.data_folder))
    pid = server.running_pid()
    typer.echo(f"The database {'runs' if started else 'ran already'} (pid {pid}): {server.application_url}")


@app.command()
def stop(config: Config = None) -> None:
    """Stop the embedded database: its clients at once, its files cleanly."""
    from server.cli import lock

    settings = settings_for(config)
    server = _embedded(settings)
    up = lock.holder(settings.var_folder)
    if up is not None:
        raise RingfenceError(
            f"`ringfence up` (pid {up.pid}) runs this database and would start it again: stop that instead."
        )
    if server.is_ready():
        _record(settings, "database.stop", str(server.data_folder), outcome="begun")
    typer.echo("The database has stopped." if server.stop() else "The database was not running.")


@app.command()
def status(json: Json = False, config: Config = None) -> None:
    """Say whether the embedded database runs: exit code 0, or 3 if it does not; and how its schema fits."""
    settings = settings_for(config)
    server = _embedded(settings)
    pid = server.running_pid()
    is_ready = pid is not None and server.is_ready()
    schema: tuple[str, bool] | None = None
    if is_ready:
        from server.cli.migrate import schema_status

        schema = schema_status(settings)
    if json:
        _print_status(server, pid, is_ready, schema)
    elif pid is None:
        typer.echo(f"The database does not run; its data: {server.data_folder}")
    else:
        state = "accepts connections" if is_ready else "is starting or stopping"
        typer.echo(f"The database {state} (pid {pid}): {server.application_url}")
        if schema is not None:
            typer.echo(schema[0])
    raise typer.Exit(EXIT_NOT_RUNNING if pid is None else 0)


def _print_status(
    server: EmbeddedServer, pid: int | None, is_ready: bool, schema: tuple[str, bool] | None
) -> None:
    from json import dumps

    said = {
        "pid": pid,
        "ready": is_ready,
        "url": server.application_url,
        "dataFolder": str(server.data_folder),
        "schema": None if schema is None else {"text": schema[0], "fits": schema[1]},
    }
    typer.echo(dumps(said, ensure_ascii=False))


@app.command()
def upgrade(
    old_bin: Annotated[
        Path | None,
        typer.Option(
            "--old-bin", metavar="FOLDER", help="The programs of the PostgreSQL that made the data."
        ),
    ] = None,
    config: Config = None,
) -> None:
    """Bring the embedded database's data of an older PostgreSQL to the one that comes with this version.

    Nothing may run meanwhile. The old data stays beside the new and needs its room on the
    disk until you remove it. On failure everything is as it was.
    """
    from server.cli import lock
    from server.cli.backup import running
    from server.cli.screen import Screen

    settings = settings_for(config)
    server = _embedded(settings)
    alone = lock.held(settings.var_folder, "an upgrade of the database")
    with alone, Screen().step(f"Upgrading {server.data_folder}"):
        old = server.upgrade(old_bin)
    if old is None:
        typer.echo("There is nothing to upgrade.")
        return
    with running(settings):
        _record(settings, "database.upgrade", f"the old data is in {old}")
    typer.echo(f"The old data is in {old}; remove it when you are content.")
    typer.echo(
        "Start the database, and let it count its own tables once: "
        "ringfence db psql --owner -- -qc 'set client_min_messages = error' -c analyze"
    )


@app.command()
def url(owner: Owner = False, config: Config = None) -> None:
    """Print the connection string, which psql and other clients accept."""
    typer.echo(_url(settings_for(config), owner))


@app.command()
def move(
    url: Annotated[
        str,
        typer.Argument(
            metavar="URL",
            help="An empty database elsewhere, as the role that is to own the tables; a password may come "
            "from PGPASSWORD.",
        ),
    ],
    role: Role = "ringfence",
    config: Config = None,
) -> None:
    """Bring the embedded database to another server, with nothing lost; the service must not run.

    Both are compared afterwards. The embedded data stays as it is, and the service uses
    the new database once database.url names it.
    """
    from server.cli.backup import move as run
    from server.cli.backup import target_of
    from server.cli.screen import Screen

    settings = settings_for(config)
    _embedded(settings)
    run(settings, target_of(url, role), Screen())


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def psql(context: typer.Context, owner: Owner = False, config: Config = None) -> NoReturn:
    """Open psql on the database. What follows `--` goes to psql: `ringfence db psql -- -c 'select 1'`."""
    from server.postgres.binaries import binary
    from server.postgres.dsn import CONNECT_SECONDS_MAX
    from server.postgres.programs import connection_of

    settings = settings_for(config)
    if settings.database.url is None and not EmbeddedServer(settings.var_folder).is_ready():
        raise DatabaseUnavailableError("The database does not run: `ringfence db start`, or `ringfence up`.")
    try:
        program = str(binary("psql"))
    except DatabaseUnavailableError:
        found = shutil.which("psql")
        if found is None:
            raise
        program = found
    connection, environment = connection_of(_url(settings, owner))
    # A database that takes connections and says nothing would be waited for without an end.
    environment.setdefault("PGCONNECT_TIMEOUT", str(CONNECT_SECONDS_MAX))
    os.execve(program, [program, connection, *context.args], environment)  # noqa: S606 its user's words


@app.command(hidden=True)
def foreground(config: Config = None) -> NoReturn:
    """Become the database, for supervisord."""
    _embedded(settings_for(config)).run_in_foreground()


def _record(settings: Settings, action: str, target: str, outcome: str = "done") -> None:
    """As far as there is a record: the schema may be as old as the data, or not made yet."""
    from server.cli.recorded import Recorder

    Recorder(settings, action, target).write(outcome, is_quiet=True)


def _url(settings: Settings, owner: bool) -> str:
    from server.postgres.urls import application_url, owner_url

    return owner_url(settings) if owner else application_url(settings)


def _embedded(settings: Settings) -> EmbeddedServer:
    if settings.database.url is not None:
        raise RingfenceError(
            f"{settings.source} or the environment sets database.url: that database is not ringfence's to "
            f"start, stop or watch."
        )
    return EmbeddedServer(settings.var_folder)
