"""A PostgreSQL of the storm's own: embedded, on a network that can be cut, and there to be stopped."""

import os
import signal
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
from psycopg.rows import dict_row

from server.access import administration
from server.access.administration import Wanted
from server.postgres import data_folder, migrations
from server.postgres.embedded import EmbeddedServer

# What the jobs write under guard(); no part of the product knows it.
GUARDED_TABLE = """
create table storm_writes (
    run_id bigint not null,
    task   text not null,
    serial integer not null,
    at     timestamptz not null default clock_timestamp(),

    primary key (run_id, serial)
)
"""


class StormPostgres:
    """host: the address that it listens on beside its socket; None: the socket alone."""

    def __init__(self, folder: Path, host: str | None) -> None:
        self.server = EmbeddedServer(folder)
        self.server.initialise()
        if host is not None:
            self._listen_on(host)
        self.server.start()
        migrations.upgrade(self.server.owner_url, self.server.application_url)
        with psycopg.connect(self.server.owner_url, autocommit=True) as connection:
            connection.execute(GUARDED_TABLE)
            connection.execute(f"grant insert, select on storm_writes to {data_folder.APPLICATION_ROLE}")
        # Nodes that others can reach ask for one.
        self.token = administration.create(self.server.owner_url, Wanted(scopes=["read"])).token
        role, port, name = data_folder.APPLICATION_ROLE, data_folder.PORT, data_folder.DATABASE
        self.application_url = (
            f"postgresql://{role}@{quote(host)}:{port}/{name}" if host else self.server.application_url
        )

    def _listen_on(self, host: str) -> None:
        folder = self.server.data_folder
        with (folder / "postgresql.conf").open("a") as settings:
            settings.write(f"listen_addresses = '{host}'\n")
        # The first line that fits counts; the network is a namespace of its own.
        rules = folder / "pg_hba.conf"
        rules.write_text(f"host all all samenet trust\n{rules.read_text()}")

    def rows(self, statement: str, *params: Any) -> list[dict[str, Any]]:
        """The rows of one statement, as the superuser, over a connection of its own."""
        with psycopg.connect(
            self.server.superuser_url, autocommit=True, connect_timeout=5, row_factory=dict_row
        ) as connection:
            cursor = connection.execute(statement, params)
            return cursor.fetchall() if cursor.description else []

    def rows_if_there(self, statement: str, *params: Any) -> list[dict[str, Any]]:
        """The same; nothing while the database is away."""
        try:
            return self.rows(statement, *params)
        except psycopg.OperationalError:
            return []

    def seconds_ahead(self) -> float:
        """What the database's clock shows more than CLOCK_MONOTONIC, in seconds, by the quickest of some looks."""
        looks = []
        with psycopg.connect(self.server.superuser_url, autocommit=True) as connection:
            for _ in range(10):
                before = time.monotonic()
                row = connection.execute("select extract(epoch from clock_timestamp())::float8").fetchone()
                after = time.monotonic()
                assert row is not None, "a function without a table has one row"
                looks.append((after - before, row[0] - (before + after) / 2))
        return min(looks)[1]

    def lease_ends_at(self, node: str) -> float:
        """The end of a node's lease in CLOCK_MONOTONIC seconds, by the database's own arithmetic."""
        asked_at = time.monotonic()
        statement = (
            "select extract(epoch from lease_expires_at - clock_timestamp())::float8 as left from nodes"
        )
        return asked_at + self.rows(f"{statement} where name = %s", node)[0]["left"]

    def stop(self, *, immediate: bool = False) -> None:
        """immediate: without a checkpoint, as after a crash; the next start recovers."""
        pid = self.server.running_pid()
        if immediate and pid is not None:
            os.kill(pid, signal.SIGQUIT)
            os.waitpid(pid, 0)
        else:
            self.server.stop()

    def start(self) -> None:
        """Returns when it accepts connections."""
        self.server.start()
