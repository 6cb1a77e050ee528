"""A server of an older major version, from the wheel that brings the new one."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

from server.postgres import data_folder, socket_folder
from server.postgres.binaries import OLDER_FOLDER, clean_environment, run, server_argv, wheel_places
from server.postgres.embedded import EmbeddedServer

SETTINGS = "listen_addresses = ''\nmax_connections = 200\nport = 5432\n"


class OldServer:
    """An embedded database as an earlier release made it; also an external server of another version."""

    def __init__(self, var_folder: Path) -> None:
        self.var_folder = var_folder
        self.data_folder = var_folder / "postgres"
        self.programs = wheel_places()[0] / OLDER_FOLDER
        urls = EmbeddedServer(var_folder)
        self.application_url, self.owner_url = urls.application_url, urls.owner_url
        self.superuser_url = urls.superuser_url

    def make(self) -> None:
        """Makes the data folder with the roles and the database, as data_folder.make() does."""
        self.data_folder.parent.mkdir(parents=True)
        options = ("--username=postgres", "--encoding=UTF8", "--locale=C", "--data-checksums", "--auth=trust")
        run(server_argv(self.programs / "initdb", f"--pgdata={self.data_folder}", *options), "initdb")
        with (self.data_folder / "postgresql.conf").open("a") as file:
            file.write(f"{data_folder.INCLUDE}\n")
        self.settle()
        roles = data_folder._statements(data_folder._ROLES.read_text())
        single = ("--single", "-D", str(self.data_folder), "postgres")
        run(server_argv(self.programs / "postgres", *single), "the roles", roles)

    def settle(self) -> None:
        """Writes what belongs to this place, also for data that was copied here."""
        self.version = (self.data_folder / "PG_VERSION").read_text().strip()
        sockets = socket_folder.make_socket_folder(self.var_folder)
        (self.data_folder / data_folder.SETTINGS_FILE).write_text(
            f"{SETTINGS}unix_socket_directories = '{sockets}'\n"
        )

    @contextlib.contextmanager
    def running(self) -> Iterator[int]:
        """Runs it; yields its pid."""
        control = ("-D", str(self.data_folder), "-w", "-s")
        log = str(self.var_folder / "old.log")
        subprocess.run(
            server_argv(self.programs / "pg_ctl", *control, "-l", log, "start"),
            check=True,
            env=clean_environment(),
        )
        pid = int((self.data_folder / "postmaster.pid").read_text().splitlines()[0])
        try:
            yield pid
        finally:
            subprocess.run(
                server_argv(self.programs / "pg_ctl", *control, "-m", "fast", "stop"),
                check=False,
                env=clean_environment(),
                stderr=subprocess.DEVNULL,
            )
