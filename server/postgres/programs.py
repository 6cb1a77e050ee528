"""Which pg_dump and pg_restore to use, and how a connection string reaches them."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from psycopg import conninfo

from server.errors import TransferError
from server.postgres.binaries import MAJOR_VERSION, binary

VERSION_SECONDS_MAX = 10.0


def client_program(name: str, *, server_major: int, needs_tls: bool) -> Path:
    """A program that a server of this version can be read with.

    The one that comes with the service, unless the server is newer, or is spoken to by TLS, which
    that one was built without; then the first on the PATH. Raises TransferError.
    """
    if server_major <= MAJOR_VERSION and not needs_tls:
        return binary(name)
    found = shutil.which(name)
    if found is not None and _major_of(found) >= server_major:
        return Path(found)
    reason = "speaks TLS" if needs_tls else f"is PostgreSQL {server_major}"
    raise TransferError(
        f"The database {reason}, and the {name} that comes with the service can't: install {name} of "
        f"PostgreSQL {server_major} or later (on Debian: apt install postgresql-client)."
    )


def connection_of(url: str) -> tuple[str, dict[str, str]]:
    """An argument and the environment for a program: the password is no argument, which all could see."""
    given: dict[str, Any] = conninfo.conninfo_to_dict(url)
    password = given.pop("password", None)
    environment = dict(os.environ)
    if password:
        environment["PGPASSWORD"] = str(password)
    return f"--dbname={conninfo.make_conninfo('', **given)}", environment


def _major_of(program: str) -> int:
    said = subprocess.run(
        [program, "--version"], capture_output=True, text=True, timeout=VERSION_SECONDS_MAX, check=False
    ).stdout
    found = re.search(r"\(PostgreSQL\) (\d+)", said)
    return int(found.group(1)) if found else 0
