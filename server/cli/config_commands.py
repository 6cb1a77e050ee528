"""`ringfence config …`: whether the configuration can be used, what counts, and where it came from."""

# ruff: noqa: PLC0415 each command imports what it needs, so that --help is quick
import json as json_text
from typing import TYPE_CHECKING

import typer

from server.cli import EXIT_CONFIGURATION
from server.cli.options import Config, Json, choose_config
from server.errors import ConfigurationError

if TYPE_CHECKING:
    from server.settings import Settings

app = typer.Typer(
    help="Check the configuration, and show what counts.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command()
def check(json: Json = False, config: Config = None) -> None:
    """Say whether the configuration can be used: exit code 2 if not, with every mistake.

    Looks at what a start looks at, certificate and key included, and at the functions of the
    tasks, which a start leaves to their runs: one that can't be found is a warning.
    """
    from server.settings.loading import load_with_origins
    from server.web.tls import certificate_of

    choose_config(config)
    faults, warnings, where = list[str](), list[str](), ""
    try:
        loaded = load_with_origins()
        where = f"{loaded.settings.source} can be used"
        if loaded.origins.variables:
            where += f", with {', '.join(loaded.origins.variables.values())}"
        warnings = _check_tasks(loaded.settings)
        certificate_of(loaded.settings)
    except ConfigurationError as error:
        faults = str(error).splitlines()
    if json:
        said = {"usable": not faults, "faults": faults, "warnings": warnings}
        typer.echo(json_text.dumps(said, ensure_ascii=False))
    else:
        for line in faults:
            typer.echo(line, err=True)
        for line in warnings:
            typer.echo(f"warning: {line}", err=True)
        typer.echo(f"{where}." if not faults else f"Mistakes: {len(faults)}.")
    raise typer.Exit(EXIT_CONFIGURATION if faults else 0)


@app.command()
def show(json: Json = False, config: Config = None) -> None:
    """Show each setting that counts, and where it came from: file and line, variable, or default.

    Passwords in connection strings are masked, and what is called a secret. Of a task, the
    keys that were given are shown.
    """
    from server.settings.loading import load_with_origins
    from server.settings.shown import shown

    choose_config(config)
    loaded = load_with_origins()
    settings = list(shown(loaded))
    if json:
        objects = [
            {"key": list(one.key), "value": one.value, "origin": one.origin.as_object()} for one in settings
        ]
        typer.echo(json_text.dumps({"file": loaded.settings.source, "settings": objects}, ensure_ascii=False))
        return
    from server.cli.task_table import in_columns, without_control

    folder = f"{loaded.origins.file.parent}/"
    # What counts is read first, and the longest stands last.
    rows = [
        (".".join(one.key), str(one.origin).removeprefix(folder), without_control(one.text))
        for one in settings
    ]
    rows.insert(0, ("key", "from", "value"))
    typer.echo("\n".join(in_columns(rows)))


@app.command(hidden=True)
def document() -> None:
    """Print docs/configuration.md, for `make docs`."""
    from server.settings.document import document as page

    typer.echo(page(), nl=False)


def _check_tasks(settings: "Settings") -> list[str]:
    """Warnings about the tasks' functions. Raises ConfigurationError for what a start refuses."""
    from server.cli.migrate import quiet_log
    from server.cron.catalogue import Catalogue
    from server.cron.functions import find_modules, resolve
    from server.cron.loop_jobs import refuse_plain_functions

    quiet_log()
    catalogue = Catalogue.from_settings(settings)
    find_modules(str(settings.home))
    refuse_plain_functions(catalogue, settings.source)
    warnings = []
    for task in catalogue.tasks.values():
        try:
            resolve(task.settings.function)
        except Exception as error:
            # Whatever a module raises while it is imported.
            warnings.append(f"tasks.{task.name}: {task.settings.function} can't be found: {error!r}")
    return warnings
