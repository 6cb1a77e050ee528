"""Who takes part in failover.py: each a team of six workers on a database of its own.

One team is up at a time. A worker that was killed is started again at once, as
a supervisor does; Ringfence brings its own.
"""

import contextlib
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import yaml

from benchmarks.apparatus.children import BenchmarkError, Program, wait_until_listed
from benchmarks.apparatus.contestants import READY, START_SECONDS_MAX, Ground
from benchmarks.apparatus.http import Address, ask
from benchmarks.apparatus.postgres import Database
from benchmarks.apparatus.witness import PERIOD_SECONDS, TASKS, WITNESS

ROOT = Path(__file__).parents[2]
WORKERS = 6


class Team(Protocol):
    """Six workers that are up."""

    @property
    def folder(self) -> Path:
        """Where their jobs testify and look for orders."""

    @property
    def announces(self) -> bool:
        """Whether its workers say to the witness that they are ready; else they are, now."""

    def pid(self, worker: str) -> int:
        """The worker's own process, which would be its parent's child."""

    def revive(self, worker: str) -> None:
        """Starts a worker again that was killed, unless somebody does that anyway."""


class Scheduler(Protocol):
    """One of those who are compared."""

    @property
    def letter(self) -> str:
        """Its short name in tables and documents."""

    @property
    def name(self) -> str:
        """What it is."""

    @property
    def lease(self) -> str:
        """After how long without a sign it gives a worker's task away, in words."""

    @property
    def missing(self) -> str:
        """Why it can't take part here; empty if it can."""

    def up(self) -> "AbstractContextManager[Team]":
        """Runs it for as long as the context."""


def fresh_folder(ground: Ground, letter: str) -> Path:
    """An empty folder for one team's witness and files."""
    folder = ground.folder / "failover" / letter
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / WITNESS).touch()
    return folder


@dataclass(frozen=True)
class RingfenceScheduler:
    """Ringfence as shipped, by `ringfence up`: its settings are the defaults, but for the
    database, the port and the ten tasks."""

    ground: Ground
    database: Callable[[], Database]
    letter: str = "a"
    name: str = "Ringfence"
    lease: str = "15 s"
    missing: str = ""

    @contextlib.contextmanager
    def up(self) -> Iterator[Team]:
        """See Scheduler."""
        folder = fresh_folder(self.ground, self.letter)
        database = self.database()
        task = {
            "function": "benchmarks.apparatus.witness:ringfence_job",
            "every": f"{PERIOD_SECONDS}s",
            "params": {"folder": str(folder)},
        }
        settings = {
            "var": str(self.ground.folder / "ringfence"),
            "http": {"port": self.ground.port},
            "database": {"url": database.application_url, "owner_url": database.owner_url},
            "tasks": dict.fromkeys(TASKS, task),
        }
        configuration = folder / "ringfence.yaml"
        configuration.write_text(yaml.dump(settings), encoding="utf-8")
        argv = [sys.executable, "-m", "server", "--config", str(configuration), "up"]
        log = self.ground.folder / "log" / "failover-ringfence.log"
        environment = {"PYTHONPATH": str(ROOT)}
        children = self.ground.children
        process = children.start(
            Program(argv, folder, log, environment, end_signal=signal.SIGINT, seconds_max=60.0)
        )
        try:
            wait_until_listed(log, READY, process, START_SECONDS_MAX)
            yield _Nodes(folder, Address("127.0.0.1", self.ground.port))
        finally:
            children.end(process)


@dataclass(frozen=True)
class _Nodes:
    """The nodes of a running Ringfence."""

    folder: Path
    address: Address
    announces: bool = False

    def pid(self, worker: str) -> int:
        """See Team."""
        _, answer = ask(self.address, "GET", "/nodes")
        for node in answer["nodes"]:
            if node["name"] == worker and node["state"] == "live":
                return int(node["pid"])
        raise BenchmarkError(f"{worker} is not live: {answer}")

    def revive(self, worker: str) -> None:
        """Its supervisord does it."""
