"""etcd and two PostgreSQL servers under Patroni, on loopback, for as long as this process lives.

A server is one Patroni with its PostgreSQL, in a folder and on ports of its own; so it can be
killed and started as a machine could. On real machines the same patroni.yml is used, with other
values in the environment (docs/high-availability.md).
"""

import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
from fleet import wait_until
from service import free_ports, processes_of

from server.postgres import launch
from server.postgres.binaries import binary

HERE = Path(__file__).resolve().parent
NAMES = ("pg-1", "pg-2")
START_SECONDS_MAX = 90.0
STOP_SECONDS_MAX = 30.0


class Database:
    """The pair as one database: what a configuration names, and what an administrator asks."""

    def __init__(self, folder: Path, programs: Path | None = None) -> None:
        self.folder = folder
        self.programs = programs or binary("postgres").parent
        first = free_ports(6)
        self._etcd_port, self._etcd_peer_port = first, first + 1
        self._api_ports = dict(zip(NAMES, (first + 2, first + 3), strict=True))
        self._ports = dict(zip(NAMES, (first + 4, first + 5), strict=True))
        roles = ("superuser", "replication", "rewind", "owner", "application")
        self._passwords = {role: secrets.token_urlsafe(24) for role in roles}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def application_url(self) -> str:
        """For database.url: both servers, and the wish for the one that takes writes."""
        return self._url("ringfence", "application")

    @property
    def owner_url(self) -> str:
        """For database.owner_url."""
        return self._url("ringfence_owner", "owner")

    def start(self) -> None:
        """Starts etcd and both servers; returns when commits wait for the standby."""
        self.start_etcd()
        for name in NAMES:
            self.start_server(name)
            wait_until(
                lambda name=name: self.state_of(name) in {"running", "streaming"}, START_SECONDS_MAX, name
            )
        self.wait_until_synchronous()

    def start_etcd(self) -> None:
        """Starts etcd, with what it knew before; returns when it answers."""
        client, peer = (f"http://127.0.0.1:{port}" for port in (self._etcd_port, self._etcd_peer_port))
        program = shutil.which("etcd") or str(HERE.parent.parent / ".venv" / "etcd" / "usr" / "bin" / "etcd")
        arguments = {
            "name": "etcd-1",
            "data-dir": str(self.folder / "etcd"),
            "listen-client-urls": client,
            "advertise-client-urls": client,
            "listen-peer-urls": peer,
            "initial-advertise-peer-urls": peer,
            "initial-cluster": f"etcd-1={peer}",
        }
        argv = [program, *(f"--{key}={value}" for key, value in arguments.items())]
        self._spawn("etcd", argv, dict(os.environ))

        def is_healthy() -> bool:
            with (
                contextlib.suppress(OSError),
                urllib.request.urlopen(f"{client}/health", timeout=2) as answer,
            ):
                return bool(answer.status == 200)
            return False

        wait_until(is_healthy, START_SECONDS_MAX, "etcd")

    def start_server(self, name: str) -> None:
        """Starts one Patroni, which makes, starts or brings up to date its PostgreSQL."""
        (self.folder / name).mkdir(exist_ok=True)
        patroni = [sys.executable, "-m", "patroni", str(HERE / "patroni.yml")]
        self._spawn(name, patroni, self._environment(name), ordinary_user=True)

    def stop(self) -> None:
        """Stops everything that was started, and fails if something is left."""
        leader = self.leader()
        for name in sorted(self._processes, key=lambda name: (name == "etcd", name == leader)):
            self._end(self._processes.pop(name))
        wait_until(lambda: not processes_of(self.folder), STOP_SECONDS_MAX, "the end of all processes")

    def members(self) -> dict[str, dict[str, Any]]:
        """name -> what Patroni says of it: role, state, timeline, lag; empty while nobody answers."""
        for port in self._api_ports.values():
            url = f"http://127.0.0.1:{port}/cluster"
            with contextlib.suppress(OSError, ValueError), urllib.request.urlopen(url, timeout=3) as answer:
                return {member["name"]: member for member in json.load(answer)["members"]}
        return {}

    def state_of(self, name: str) -> str:
        """Patroni's word for it; empty if it knows no such server."""
        return str(self.members().get(name, {}).get("state", ""))

    def leader(self) -> str | None:
        """The primary, as Patroni knows it."""
        return next((name for name, member in self.members().items() if member["role"] == "leader"), None)

    def wait_until_synchronous(self) -> None:
        """Waits until one leads, and the other follows and has every commit."""

        def is_so() -> bool:
            return sorted(member["role"] for member in self.members().values()) == ["leader", "sync_standby"]

        wait_until(is_so, START_SECONDS_MAX, "a leader and a synchronous standby")

    def kill_postgresql(self, name: str) -> None:
        """SIGKILL to PostgreSQL alone: its Patroni lives, and hands over."""
        pid_file = self.folder / name / "data" / "postmaster.pid"
        os.kill(int(pid_file.read_text().splitlines()[0]), signal.SIGKILL)

    def kill_server(self, name: str) -> None:
        """SIGKILL to Patroni and every process of PostgreSQL: as if the machine had lost its power."""
        for pid in processes_of(self.folder / name):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._processes.pop(name).wait()

    def kill_etcd(self) -> None:
        """SIGKILL to etcd: who may be primary can't be told any more."""
        etcd = self._processes.pop("etcd")
        etcd.kill()
        etcd.wait()

    @contextlib.contextmanager
    def connect(self, name: str) -> Iterator["psycopg.Connection[tuple[Any, ...]]"]:
        """A superuser's connection to one server, whether it leads or follows."""
        with psycopg.connect(
            host="127.0.0.1",
            port=self._ports[name],
            user="postgres",
            password=self._passwords["superuser"],
            dbname="ringfence",
            autocommit=True,
        ) as connection:
            yield connection

    def has_log(self, name: str) -> bool:
        """Whether it was ever started."""
        return (self.folder / f"{name}.log").exists()

    def log(self, name: str) -> str:
        """What Patroni and its PostgreSQL said."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def _url(self, user: str, role: str) -> str:
        hosts = ",".join(f"127.0.0.1:{port}" for port in self._ports.values())
        return (
            f"postgresql://{user}:{self._passwords[role]}@{hosts}/ringfence?target_session_attrs=read-write"
        )

    def _environment(self, name: str) -> dict[str, str]:
        folder = self.folder / name
        api, postgresql = (f"127.0.0.1:{ports[name]}" for ports in (self._api_ports, self._ports))
        environment = dict(os.environ) | {
            "PATH": f"{self.programs}:{os.environ.get('PATH', '')}",
            "PATRONI_NAME": name,
            "PATRONI_ETCD3_HOSTS": f"'127.0.0.1:{self._etcd_port}'",
            "PATRONI_RESTAPI_LISTEN": api,
            "PATRONI_RESTAPI_CONNECT_ADDRESS": api,
            "PATRONI_POSTGRESQL_LISTEN": postgresql,
            "PATRONI_POSTGRESQL_CONNECT_ADDRESS": postgresql,
            "PATRONI_POSTGRESQL_DATA_DIR": str(folder / "data"),
            "PATRONI_POSTGRESQL_BIN_DIR": str(self.programs),
            "PATRONI_POSTGRESQL_PGPASS": str(folder / "pgpass"),
            "DATABASE_OWNER_PASSWORD": self._passwords["owner"],
            "DATABASE_APPLICATION_PASSWORD": self._passwords["application"],
        }
        users = {"superuser": "postgres", "replication": "replicator", "rewind": "rewinder"}
        for role, user in users.items():
            environment[f"PATRONI_{role.upper()}_USERNAME"] = user
            environment[f"PATRONI_{role.upper()}_PASSWORD"] = self._passwords[role]
        return environment

    def _spawn(
        self, name: str, argv: list[str], environment: dict[str, str], *, ordinary_user: bool = False
    ) -> None:
        # PostgreSQL refuses root: see launch.py. It ends with us, however we end.
        prefix = [sys.executable, "-I", "-S", launch.__file__, "--death-signal", str(int(signal.SIGTERM))]
        if ordinary_user and os.geteuid() == 0:
            prefix.append("--namespace")
        with (self.folder / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                [*prefix, "--", *argv],
                cwd=HERE,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @staticmethod
    def _end(process: "subprocess.Popen[bytes]") -> None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
