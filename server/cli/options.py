"""What the commands have in common: which settings they use."""

import os
from pathlib import Path
from typing import Annotated

import typer

from server.settings import CONFIG_VARIABLE, Settings, load

# The groups of `ringfence --help`, in this order.
RUN = "Run the service"
STEER = "Watch and steer it, also from another machine"
DATABASE = "Database"
CARE = "Check and set up"

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Config = Annotated[
    str | None,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        help="The configuration file. Without it: RINGFENCE_CONFIG, then config.yaml here, then the "
        "one that comes with the product.",
    ),
]


def choose_config(config: str | None) -> None:
    """Makes a file the configuration of this process and of all that it starts.

    By the environment, so that the migrations and the children come to the same
    file without passing it on.
    """
    chosen = config or os.environ.get(CONFIG_VARIABLE)
    if chosen:
        os.environ[CONFIG_VARIABLE] = str(Path(chosen).absolute())


def settings_for(config: str | None) -> Settings:
    """The settings, read and checked. Raises ConfigurationError with every mistake."""
    choose_config(config)
    return load()
