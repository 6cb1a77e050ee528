"""Makes the data folder of the embedded PostgreSQL, whole or not at all.

initdb, the roles and the database are made in `postgres.new`, with no server
running, and the folder gets its name in the last step. So whoever sees
`var/postgres` sees a complete one, and an interrupted attempt is thrown away.
"""

import contextlib
import os
import shutil
from pathlib import Path

from server.errors import DatabaseUnavailableError
from server.postgres import embedded_settings
from server.postgres.binaries import MAJOR_VERSION, check_reachable, run, server_argv

SUPERUSER = "postgres"
OWNER_ROLE = "ringfence_owner"
APPLICATION_ROLE = "ringfence"
DATABASE = "ringfence"
SETTINGS_FILE = "ringfence.conf"
PORT = 5432
OWN_SETTINGS_MARK = "\n# What stands below this line wins."
INCLUDE = f"include = '{SETTINGS_FILE}'"
INITDB_OPTIONS = (
    f"--username={SUPERUSER}",
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--data-checksums",
    "--auth-local=trust",
    "--auth-host=reject",
    "--no-instructions",
)

_ROLES = Path(__file__).with_name("embedded_roles.sql")


def exists(data_folder: Path) -> bool:
    """Whether there is a folder with something in it, which check() has to judge."""
    try:
        return any(data_folder.iterdir())
    except FileNotFoundError:
        return False
    except PermissionError:
        return True


def make(data_folder: Path) -> None:
    """Makes the data folder. Raises DatabaseUnavailableError with the reason if it can't be made."""
    new = make_empty(data_folder)
    single = _argv("postgres", "--single", "-c", "exit_on_error=true", "-D", str(new), SUPERUSER)
    run(single, f"{new}: making the roles", _statements(_ROLES.read_text(encoding="utf-8")))
    with contextlib.suppress(FileNotFoundError):
        data_folder.rmdir()  # an empty one; check() has judged any other
    new.rename(data_folder)


def make_empty(data_folder: Path, *options: str) -> Path:
    """Makes `postgres.new` beside the data folder, without roles and databases of ours; returns its path.

    options: for initdb, after ours. What an interrupted attempt left is thrown away.
    """
    new = data_folder.with_name(data_folder.name + ".new")
    check_reachable(new)
    try:
        data_folder.parent.mkdir(parents=True, exist_ok=True)
        if new.exists():
            shutil.rmtree(new)
    except OSError as error:
        raise DatabaseUnavailableError(
            f"{error.filename}: the database's folder can't be made: {error.strerror}"
        ) from None
    run(_argv("initdb", f"--pgdata={new}", *INITDB_OPTIONS, *options), f"{new}: making the database")
    with (new / "postgresql.conf").open("a", encoding="utf-8") as file:
        file.write(f"{OWN_SETTINGS_MARK}\n{INCLUDE}\n")
    write_settings(new, new)
    return new


def check(data_folder: Path) -> None:
    """Refuses a folder that this server can't use, before the server says it less clearly.

    Raises DatabaseUnavailableError: another user's, another major version's, or
    no data folder at all.
    """
    owner = data_folder.stat().st_uid
    if owner != os.geteuid():
        raise DatabaseUnavailableError(
            f"{data_folder} belongs to uid {owner}, and this is uid {os.geteuid()}: run ringfence as the "
            f"user who made it, or set `var` in config.yaml to another folder."
        )
    check_version(data_folder)
    check_reachable(data_folder)


def version_of(data_folder: Path) -> str:
    """The major version that made the folder. Raises DatabaseUnavailableError if it is no data folder."""
    try:
        return (data_folder / "PG_VERSION").read_text(encoding="ascii").strip()
    except FileNotFoundError:
        raise DatabaseUnavailableError(
            f"{data_folder} is not empty, and it is no data folder of PostgreSQL: move it away."
        ) from None


def check_version(data_folder: Path) -> None:
    """Refuses another major version's folder, with what mends it. Raises DatabaseUnavailableError."""
    version = version_of(data_folder)
    if version == str(MAJOR_VERSION):
        return
    made_by = f"{data_folder} was made by PostgreSQL {version}, and this is PostgreSQL {MAJOR_VERSION}"
    if version.isdigit() and int(version) > MAJOR_VERSION:
        raise DatabaseUnavailableError(
            f"{made_by}: there is no way back. Install the ringfence that made it, or set `var` in "
            f"config.yaml to another folder."
        )
    raise DatabaseUnavailableError(
        f"{made_by}, which can't read it. `ringfence db upgrade` brings it up, with the programs of "
        f"PostgreSQL {version}, and keeps the old folder."
    )


def write_settings(data_folder: Path, socket_folder: Path) -> None:
    """Writes the settings that the next start reads."""
    # A list of folders: each is quoted for the list, and the list for the file.
    folder = '"' + str(socket_folder).replace('"', '""') + '"'
    quoted = "'" + folder.replace("\\", "\\\\").replace("'", "''") + "'"
    text = f"{embedded_settings.TEXT}port = {PORT}\nunix_socket_directories = {quoted}\n"
    path = data_folder / SETTINGS_FILE
    new = path.with_suffix(".new")
    new.write_text(text, encoding="utf-8", errors="surrogateescape")
    new.chmod(0o600)
    new.replace(path)


def _argv(program: str, *arguments: str) -> list[str]:
    # With its parent, or it would go on writing under the feet of the next attempt.
    return server_argv(program, *arguments, die_with_parent=True)


def _statements(text: str) -> str:
    """One statement a line, as the single-user server reads them."""
    lines = (line for line in text.splitlines() if not line.startswith("--"))
    statements = " ".join(lines).split(";")
    return "".join(f"{statement.strip()};\n" for statement in statements if statement.strip())
