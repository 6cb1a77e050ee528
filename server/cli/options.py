"""What the commands have in common: which settings they use."""

import os
from pathlib import Path
from typing import Annotated

import typer

from server.errors import ConfigurationError
from server.settings import CA_VARIABLE, CONFIG_VARIABLE, TOKEN_VARIABLE, Settings, load

TOKEN_FILE_BYTES_MAX = 1000

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


def choose_token(file: str | None) -> None:
    """Makes the token in a file the one of this process, as if RINGFENCE_TOKEN held it.

    A file and a variable, and never an argument: those every user of the machine can list.
    Raises ConfigurationError.
    """
    if file is None:
        return
    try:
        with Path(file).open(encoding="ascii") as opened:
            token = opened.read(TOKEN_FILE_BYTES_MAX).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"--token-file: {file}: cannot be read: {error}") from None
    if not token or len(token.split()) != 1:
        raise ConfigurationError(f"--token-file: {file}: expected a token and nothing else")
    os.environ[TOKEN_VARIABLE] = token


def token_headers() -> dict[str, str]:
    """What tells the API who asks; nothing without a token. Raises ConfigurationError."""
    token = os.environ.get(TOKEN_VARIABLE, "").strip()
    if not token:
        return {}
    if not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigurationError(f"environment variable {TOKEN_VARIABLE}: this is no token")
    return {"Authorization": f"Bearer {token}"}


def choose_ca(file: str | None) -> None:
    """Lets this process trust the certificates in a file, and no others. Raises ConfigurationError."""
    if file is None:
        return
    if not os.access(file, os.R_OK):
        raise ConfigurationError(f"--ca-file: {file}: cannot be read")
    os.environ[CA_VARIABLE] = file


CaFile = Annotated[
    str | None,
    typer.Option(
        "--ca-file",
        metavar="FILE",
        callback=choose_ca,
        is_eager=True,
        help="Whose certificates count for https, as PEM. Without it: RINGFENCE_CA_FILE, then what the "
        "system trusts, and http.tls_certificate of the configuration.",
    ),
]
TokenFile = Annotated[
    str | None,
    typer.Option(
        "--token-file",
        metavar="FILE",
        callback=choose_token,
        is_eager=True,
        help="A file with the token to ask with. Without it: RINGFENCE_TOKEN.",
    ),
]
