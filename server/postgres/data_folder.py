"""Makes the data folder of the embedded PostgreSQL, whole or not at all.

initdb, the roles and the database are made in `postgres.new`, with no server
running, and the folder gets its name in the last step. So whoever sees
`var/postgres` sees a complete one, and an interrupted attempt is thrown away.
"""

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
    new = data_folder.with_name(data_folder.name + ".new")
    check_reachable(new)
    try:
        data_folder.parent.mkdir(parents=True, exist_ok=True)
        if new.exists():
            shutil.rmtree(new)
        if data_folder.exists():
            data_folder.rmdir()
    except OSError as error:
        raise DatabaseUnavailableError(
            f"{error.filename}: the database's folder can't be made: {error.strerror}"
        ) from None
    options = (
        f"--pgdata={new}",
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
    run(_argv("initdb", *options), f"{new}: making the database")
    with (new / "postgresql.conf").open("a", encoding="utf-8") as file:
        file.write(f"\n# What stands below this line wins.\ninclude = '{SETTINGS_FILE}'\n")
    write_settings(new, new)
    single = _argv("postgres", "--single", "-c", "exit_on_error=true", "-D", str(new), SUPERUSER)
    run(single, f"{new}: making the roles", _statements(_ROLES.read_text(encoding="utf-8")))
    new.rename(data_folder)


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
    try:
        version = (data_folder / "PG_VERSION").read_text(encoding="ascii").strip()
    except FileNotFoundError:
        raise DatabaseUnavailableError(
            f"{data_folder} is not empty, and it is no data folder of PostgreSQL: move it away."
        ) from None
    if version != str(MAJOR_VERSION):
        raise DatabaseUnavailableError(
            f"{data_folder} was made by PostgreSQL {version}, and this is PostgreSQL {MAJOR_VERSION}, which "
            f"can't read it. Dump it with pg_dump of version {version} and restore it, or move the folder "
            f"away to begin with an empty database."
        )
    check_reachable(data_folder)


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
