"""The commands of `ringfence`. Each imports what it needs when it runs, so that --help is quick."""

# ruff: noqa: PLC0415 see above
import os
import signal
from typing import Annotated

import typer

from server import __version__
from server.cli import audit, backup_commands, config_commands, database, ledger, tasks, token
from server.cli.options import CARE, DATABASE, RUN, Config, Json, choose_config, settings_for
from server.errors import ConfigurationError
from server.settings import TOKEN_VARIABLE

EXAMPLES = """
[bold]Examples[/bold]

[cyan]ringfence up[/cyan]   everything here; then, in another terminal, [cyan]ringfence top[/cyan]

[cyan]ringfence run estimate_pi[/cyan]   a task now, out of turn

[cyan]ringfence doctor[/cyan]   what is wrong here, and what mends it

[cyan]ringfence --install-completion[/cyan]   the Tab key knows commands, options and tasks
"""

app = typer.Typer(
    name="ringfence",
    help="Accounts that never go negative, and a cron service without a leader.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    epilog=EXAMPLES,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ringfence {__version__}")
        raise typer.Exit


@app.callback()
def common(
    config: Config = None,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and end."),
    ] = False,
) -> None:
    """Accounts that never go negative, and a cron service without a leader."""
    choose_config(config)


@app.command(rich_help_panel=RUN)
def up(config: Config = None) -> None:
    """Run everything here: database, migrations and all instances, until Ctrl-C.

    Makes the database at the first start. Prints the address, and how to
    withdraw, to watch and to stop. Ctrl-C stops within seconds and interrupts
    running tasks; SIGTERM lets them finish, as long as cluster.drain_seconds.
    """
    from server.cli.up import run

    raise typer.Exit(run(settings_for(config)))


@app.command(rich_help_panel=RUN)
def serve(
    node: Annotated[
        int | None,
        typer.Option("--node", "-n", min=1, max=500, help="The number of the instance; without it 1."),
    ] = None,
    name: Annotated[str | None, typer.Option(help="The same as a name: node-1 and so on.")] = None,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Its own port, instead of http.port + number.")
    ] = None,
    config: Config = None,
) -> None:
    """Run one instance in the foreground.

    Under supervisord it also serves the public port, whose socket it is handed
    as descriptor 0. SIGTERM drains: it finishes what it has begun. SIGINT stops
    within two seconds.
    """
    from server.supervised import refusing_for_good

    with refusing_for_good(os.environ):
        code = _serve(node, name, port, config)
    raise typer.Exit(code)


def _serve(node: int | None, name: str | None, port: int | None, config: str | None) -> int:
    number = _node_number(node, name)
    settings = settings_for(config)
    if port is not None:
        if port <= number:
            raise ConfigurationError(
                f"--port: must be above the number of the instance, {number} (got {port})"
            )
        settings = settings.model_copy(
            update={"http": settings.http.model_copy(update={"port": port - number})}
        )
    if "SUPERVISOR_ENABLED" in os.environ:
        from server.postgres.launch import die_with_parent

        # Or it would go on serving the public port that a new supervisord cannot bind.
        die_with_parent(signal.SIGINT, os.getppid())
    # A person's secret, which neither a node nor the jobs that it starts need.
    os.environ.pop(TOKEN_VARIABLE, None)
    from server.cli.token_check import refuse_without_token
    from server.node import run_node

    refuse_without_token(settings)
    return run_node(settings, number)


def _node_number(node: int | None, name: str | None) -> int:
    named = None
    if name is not None:
        prefix, _, digits = name.partition("-")
        if prefix != "node" or not digits.isascii() or not digits.isdigit() or int(digits) < 1:
            raise ConfigurationError(f"--name: expected node-1, node-2 and so on (got {name!r})")
        named = int(digits)
    if node is not None and named is not None and node != named:
        raise ConfigurationError(f"serve: --node {node} and --name {name} are two different instances")
    return node or named or 1


@app.command(rich_help_panel=RUN)
def restart(config: Config = None) -> None:
    """Restart the instances that run here, one after the other: no request is lost.

    Each drains first: its running tasks may finish, as long as
    cluster.drain_seconds. A change of config.yaml counts from then on.
    """
    from server.cli.restart import restart as run
    from server.cli.screen import Screen

    run(settings_for(config), Screen())


@app.command(rich_help_panel=RUN)
def scale(
    instances: Annotated[int, typer.Argument(metavar="N", min=1, max=500, help="How many shall run.")],
    config: Config = None,
) -> None:
    """Change how many instances run here, while they serve: no request is lost.

    More are started and waited for; fewer drain one after the other, the highest number
    first, and the others take over their tasks. The next `up` starts with
    cluster.instances of the configuration again.
    """
    from server.cli.scale import scale as run
    from server.cli.screen import Screen

    run(settings_for(config), instances, Screen())


tasks.add_to(app)
app.add_typer(database.app, name="db", rich_help_panel=DATABASE)
backup_commands.add_to(app)
app.add_typer(config_commands.app, name="config", rich_help_panel=CARE)
app.add_typer(ledger.app, name="ledger", rich_help_panel=CARE)
app.add_typer(token.app, name="token", rich_help_panel=CARE)
audit.add_to(app)


@app.command(rich_help_panel=DATABASE)
def migrate(
    to: Annotated[
        str | None,
        typer.Option(metavar="REVISION", help="Go back to this revision; `base` leaves nothing."),
    ] = None,
    check: Annotated[
        bool,
        typer.Option("--check", help="Only say how schema and version fit; exit code 1 if they don't."),
    ] = False,
    config: Config = None,
) -> None:
    """Bring the database's schema to what this version needs.

    Safe at any time and from several places at once: one migrates, the others
    wait for it. Running nodes go on, unless it says that they can't. --to goes
    back, and deletes what the later revisions added.
    """
    from server.cli.migrate import migrate as run
    from server.cli.migrate import migrate_back, schema_status

    settings = settings_for(config)
    if check:
        line, is_fine = schema_status(settings)
        typer.echo(line)
        raise typer.Exit(0 if is_fine else 1)
    typer.echo(run(settings) if to is None else migrate_back(settings, to))


@app.command(rich_help_panel=CARE)
def doctor(
    json: Json = False,
    config: Config = None,
) -> None:
    """Look at settings, database, ports, limits, disk and memory here, and say what to mend.

    Changes nothing, and may be asked while the service runs. Exit code 1 with a fault.
    """
    from server.cli.doctor.examination import examine, has_fault, show

    findings = examine(config)
    show(findings, as_json=json)
    raise typer.Exit(1 if has_fault(findings) else 0)


@app.command(
    rich_help_panel=CARE,
    add_help_option=False,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def burst(context: typer.Context) -> None:
    """Send 10,000 withdrawals at one moment, and check the books."""
    # A stand-in, so that other commands don't pay for what this one imports.
    from server.cli.burst import burst as command

    real = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    real.command()(command)
    real(args=context.args, prog_name="ringfence burst")
