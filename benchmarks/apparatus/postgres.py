"""One PostgreSQL for everybody: Ringfence's embedded one, and databases of the benchmark's own on it."""

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg
import yaml
from psycopg import conninfo, sql

from benchmarks.apparatus.children import POLL_SECONDS, BenchmarkError, Children, Program
from server.postgres import migrations
from server.postgres.embedded import EmbeddedServer

START_SECONDS_MAX = 60.0
PEERS_SCHEMA = Path(__file__).parents[1] / "peers" / "schema.sql"
OWNER, APPLICATION = "ringfence_owner", "ringfence"


@dataclass(frozen=True)
class Database:
    """One database. application_url: the role that the contestants connect as."""

    superuser_url: str
    owner_url: str
    application_url: str

    def connect(self) -> "psycopg.Connection[tuple[object, ...]]":
        """The benchmark's own connection, as a superuser; each statement commits by itself."""
        return psycopg.connect(self.superuser_url, autocommit=True)

    def environment(self) -> dict[str, str]:
        """Where it is, in the variables that every client of PostgreSQL knows."""
        parts = conninfo.conninfo_to_dict(self.superuser_url)
        return {
            "PGHOST": str(parts["host"]),
            "PGPORT": str(parts["port"]),
            "PGUSER": str(parts["user"]),
            "PGDATABASE": str(parts["dbname"]),
        }


class Postgres:
    """The server of the benchmark's own folder, a child of the benchmark."""

    def __init__(self, folder: Path, children: Children) -> None:
        self._folder = folder
        self._children = children
        self._server = EmbeddedServer(folder / "var")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The server's own."""
        assert self._process is not None, "start() comes first"
        return self._process.pid

    def start(self) -> None:
        """Starts it, on what a former run left, and waits until it accepts connections."""
        self._server.stop()  # of a run that was killed a moment ago
        configuration = self._folder / "postgres.yaml"
        configuration.write_text(yaml.safe_dump({"var": "var"}), encoding="utf-8")
        argv = [sys.executable, "-m", "server", "--config", str(configuration), "db", "foreground"]
        log = self._folder / "log" / "postgres.log"
        # It ends with its parent by itself, see server/postgres/launch.py.
        self._process = self._children.start(Program(argv, self._folder, log, seconds_max=60.0))
        deadline = time.monotonic() + START_SECONDS_MAX
        while not self._server.is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise BenchmarkError(f"PostgreSQL does not start; see {log}")
            time.sleep(POLL_SECONDS)

    def configure(self, settings: str) -> None:
        """Settings beyond the shipped ones, as lines; before the start, and once."""
        self._server.initialise()
        own = self._server.data_folder / "postgresql.conf"
        with own.open("a", encoding="utf-8") as file:
            file.write(f"\n{settings}\n")

    def cpu_seconds(self) -> float:
        """Of the server and all its living processes, since each of them began."""
        return sum(map(self.cpu_seconds_of, self._pids()))

    def memory_mib(self) -> float:
        """Of all of them; a page that several share is divided among them."""
        return sum(map(_memory_kib, self._pids())) / 1024

    @staticmethod
    def cpu_seconds_of(pid: int) -> float:
        """Of one process of one thread; 0 for one that has ended meanwhile.

        In nanoseconds: in /proc/PID/stat a backend that works for a millisecond a second is nothing.
        """
        fields = _read(f"/proc/{pid}/schedstat").split()
        return int(fields[0]) / 1e9 if fields else 0.0

    def _pids(self) -> list[int]:
        pid = self._server.running_pid()
        return [int(word) for word in (str(pid), *_read(f"/proc/{pid}/task/{pid}/children").split())]

    def ringfence_database(self, name: str) -> Database:
        """A fresh database with Ringfence's schema."""
        database = self._fresh(name)
        migrations.upgrade(database.owner_url, database.application_url)
        return database

    def peers_database(self, name: str) -> Database:
        """A fresh database with the peers' schema."""
        database = self._fresh(name)
        with database.connect() as connection:
            connection.execute(PEERS_SCHEMA.read_text(encoding="utf-8"))
        return database

    def empty_database(self, name: str) -> Database:
        """A fresh database with nothing in it, for who makes its tables itself."""
        return self._fresh(name)

    def drop(self, name: str) -> None:
        """Drops a database, whoever is connected."""
        with psycopg.connect(self._server.superuser_url, autocommit=True) as connection:
            connection.execute(
                sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name))
            )

    def _fresh(self, name: str) -> Database:
        self.drop(name)
        with psycopg.connect(self._server.superuser_url, autocommit=True) as connection:
            statement = sql.SQL("create database {} template template0 owner {}")
            connection.execute(statement.format(sql.Identifier(name), sql.Identifier(OWNER)))
        return Database(
            self._url(name),
            self._url(name, options=f"-c role={OWNER}"),
            self._url(name, user=APPLICATION),
        )

    def _url(self, name: str, **changes: str) -> str:
        given = conninfo.conninfo_to_dict(self._server.superuser_url)
        parts = {key: str(value) for key, value in given.items()} | {"dbname": name} | changes
        return "postgresql:///?" + "&".join(f"{key}={quote(value, safe='')}" for key, value in parts.items())


def _memory_kib(pid: int) -> int:
    for line in _read(f"/proc/{pid}/smaps_rollup").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    return 0


def _read(path: str) -> str:
    """Empty for a process that has ended."""
    try:
        return Path(path).read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
