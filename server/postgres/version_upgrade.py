"""Brings a data folder of an older major version to this one, by pg_upgrade and the older programs.

Whole or not at all. The new folder is made beside the old one, as `postgres.new`, and is called
`postgres.upgraded` once it is complete; then two renames put it into the old one's place. Cut off
before them, nothing has changed; cut off between them there is no `postgres`, and finish() does the
second one rather than let a start make an empty database.

The old folder stays, as `postgres.16` for instance, and is never written after pg_upgrade has read
it: whoever wants back renames it. It costs its size on the disk until somebody removes it.
"""

import re
import shlex
import tempfile
from pathlib import Path

from server.errors import DatabaseUnavailableError
from server.postgres import data_folder
from server.postgres.binaries import (
    OLDER_FOLDER,
    binary,
    check_reachable,
    run,
    server_argv,
    wheel_places,
)

UPGRADE_SECONDS_MAX = 12 * 3600.0
RECOVERY_SECONDS_MAX = 3600.0
NEEDED = ("postgres", "pg_ctl", "pg_controldata", "pg_resetwal", "pg_dump")
# What a person may have changed in a data folder, beside the end of postgresql.conf.
CARRIED_OVER = ("pg_hba.conf", "pg_ident.conf", "postgresql.auto.conf")


def upgrade(folder: Path, sockets: Path, programs: Path | None) -> Path:
    """Upgrades the data folder; returns where the old one lies now. No server of it may run.

    sockets: a folder of ours alone, for the two servers that pg_upgrade starts for itself.
    programs: the folder of the older version's programs; None looks in the usual places.
    Raises DatabaseUnavailableError, and then the data folder is as it was.
    """
    version = data_folder.version_of(folder)
    old_programs = _programs_of(version, programs)
    old_folder = folder.with_name(f"{folder.name}.{version}")
    if old_folder.exists():
        raise DatabaseUnavailableError(f"{old_folder} is in the way: an earlier upgrade kept it there.")
    check_reachable(folder)
    control = _control_of(folder, old_programs)
    if control["Database cluster state"] != "shut down":
        _recover(folder, sockets, old_programs)
    new = data_folder.make_empty(folder, *_initdb_options(control))
    options = {
        "old-datadir": folder,
        "new-datadir": new,
        "old-bindir": old_programs,
        "new-bindir": binary("postgres").parent,
        "socketdir": sockets,
        "username": data_folder.SUPERUSER,
    }
    argv = server_argv(
        "pg_upgrade", *(f"--{name}={value}" for name, value in options.items()), die_with_parent=True
    )
    # It leaves a script where it works, which would delete the old folder.
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        run(argv, f"{folder}: pg_upgrade", cwd=Path(scratch), seconds_max=UPGRADE_SECONDS_MAX)
    _carry_over(folder, new)
    new.rename(upgraded(folder))
    folder.rename(old_folder)
    upgraded(folder).rename(folder)
    return old_folder


def finish(folder: Path) -> None:
    """Does the last step of an upgrade that was cut off before it."""
    if not folder.exists() and upgraded(folder).exists():
        upgraded(folder).rename(folder)


def upgraded(folder: Path) -> Path:
    """Where the new data lies, complete, until the old has made room for it."""
    return folder.with_name(folder.name + ".upgraded")


def _programs_of(version: str, named: Path | None) -> Path:
    """The folder of a version's programs. Raises DatabaseUnavailableError, which says how to get them."""
    usual = [Path(f"/usr/lib/postgresql/{version}/bin"), Path(f"/usr/pgsql-{version}/bin")]
    places = [named] if named else [*(place / OLDER_FOLDER for place in wheel_places()), *usual]
    for place in places:
        complete = all((place / name).is_file() for name in NEEDED)
        if complete and _version_of_program(place / "postgres") == version:
            return place.resolve()
    where = ", ".join(map(str, places))
    raise DatabaseUnavailableError(
        f"The programs of PostgreSQL {version} ({', '.join(NEEDED)}) are not in {where}. Install them (on "
        f"Debian: apt install postgresql-{version}) and name their folder: "
        "ringfence db upgrade --old-bin FOLDER"
    )


def _version_of_program(postgres: Path) -> str:
    said = run([str(postgres), "--version"], f"{postgres}: its version")
    found = re.search(r"\(PostgreSQL\) (\d+)", said)
    return found.group(1) if found else ""


def _control_of(folder: Path, old_programs: Path) -> dict[str, str]:
    """What pg_controldata says of the folder."""
    said = run(server_argv(old_programs / "pg_controldata", str(folder)), f"{folder}: its form")
    lines = (line.partition(":") for line in said.splitlines())
    return {key.strip(): value.strip() for key, _, value in lines}


def _recover(folder: Path, sockets: Path, old_programs: Path) -> None:
    """Starts the old server and stops it, since pg_upgrade takes only what was shut down cleanly."""
    log = folder.parent / "log" / "postgres.log"
    # pg_ctl hands this to a shell.
    here = f"-c listen_addresses='' -c unix_socket_directories={shlex.quote(str(sockets))}"
    control = ("--silent", "--wait", f"--pgdata={folder}")
    for order in (("start", f"--log={log}", f"--options={here}"), ("stop", "--mode=fast")):
        argv = server_argv(old_programs / "pg_ctl", *order, *control)
        run(argv, f"{folder}: recovering what was not shut down", seconds_max=RECOVERY_SECONDS_MAX)


def _initdb_options(control: dict[str, str]) -> list[str]:
    """What pg_upgrade wants to be the same in both, and can't change."""
    segment_mib = int(control["Bytes per WAL segment"]) // (1024 * 1024)
    options = [f"--wal-segsize={segment_mib}"]
    if control["Data page checksum version"] == "0":
        options.append("--no-data-checksums")
    return options


def _carry_over(folder: Path, new: Path) -> None:
    """Takes along what a person set: a setting that is no more is named when the server starts."""
    for name in CARRIED_OVER:
        if (folder / name).exists():
            (new / name).write_bytes((folder / name).read_bytes())
    before = (folder / "postgresql.conf").read_text(encoding="utf-8", errors="surrogateescape")
    _, included, own = before.rpartition(data_folder.INCLUDE)
    if included and own.strip():
        with (new / "postgresql.conf").open("a", encoding="utf-8", errors="surrogateescape") as file:
            file.write(own.lstrip("\n"))
