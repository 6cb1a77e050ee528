"""Who takes part: each a number of processes behind one listening socket, up for its turn only.

Nobody else runs during a turn but PostgreSQL, so that heartbeats, idle
connections and garbage collections of one contestant never disturb another.
"""

import contextlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import yaml

from benchmarks.apparatus.books import Books
from benchmarks.apparatus.children import (
    POLL_SECONDS,
    BenchmarkError,
    Children,
    Program,
    wait_until_listed,
)
from benchmarks.apparatus.http import Address, ask

INSTANCES = 6
BACKLOG = 16_384  # Ringfence's own default, so everybody's
START_SECONDS_MAX = 60.0
READY = "Ringfence is ready"


@dataclass(frozen=True)
class Ground:
    """Where contestants run: the folder for what they write, their first port, and who ends them."""

    folder: Path
    port: int
    children: Children


class Contestant(Protocol):
    """One of those who are measured."""

    @property
    def letter(self) -> str:
        """Its short name in tables and documents."""

    @property
    def name(self) -> str:
        """What it is."""

    @property
    def books(self) -> Books | None:
        """Where its accounts are; None if it has none."""

    @property
    def missing(self) -> str:
        """Why it can't take part here; empty if it can."""

    def up(self) -> "contextlib.AbstractContextManager[Address]":
        """Runs it, ready for requests at the address, for as long as the context."""


class Ringfence:
    """Ringfence as shipped, by `ringfence up`, with two settings of its own: the benchmark's
    PostgreSQL, which outlives a turn, and no background tasks, so that the machine is quiet."""

    def __init__(self, ground: Ground, books: Books, instances: int = INSTANCES) -> None:
        self.letter, self.name = "a", f"Ringfence, {instances} instances"
        self.books: Books | None = books
        self.missing = ""
        self._ground = ground
        self._settings = {
            "var": "ringfence",
            "http": {"port": ground.port, "backlog": BACKLOG},
            "database": {
                "url": books.database.application_url,
                "owner_url": books.database.owner_url,
            },
            "cluster": {"instances": instances},
            "tasks": {},
        }

    @contextlib.contextmanager
    def up(self) -> Iterator[Address]:
        """See Contestant."""
        ground = self._ground
        configuration = ground.folder / "ringfence.yaml"
        configuration.write_text(yaml.safe_dump(self._settings), encoding="utf-8")
        argv = [sys.executable, "-m", "server", "--config", str(configuration), "up"]
        log = ground.folder / "log" / "ringfence.log"
        # Whoever has no tasks has nothing to drain, but SIGTERM would wait for idle connections.
        process = ground.children.start(
            Program(argv, ground.folder, log, end_signal=signal.SIGINT, seconds_max=60.0)
        )
        try:
            wait_until_listed(log, READY, process, START_SECONDS_MAX)
            yield Address("127.0.0.1", ground.port)
        finally:
            ground.children.end(process)


@dataclass(frozen=True)
class Peer:
    """A program of benchmarks/peers in several processes, which share a socket as descriptor 0."""

    letter: str
    name: str
    argv: Sequence[str]
    ground: Ground
    books: Books | None = None
    missing: str = ""
    folder: Path = Path(__file__).parents[1] / "peers"
    processes: int = INSTANCES

    @contextlib.contextmanager
    def up(self) -> Iterator[Address]:
        """See Contestant."""
        environment = self.books.database.environment() if self.books else {}
        children = self.ground.children
        with socket.create_server(("127.0.0.1", self.ground.port), backlog=BACKLOG) as listener:
            # As supervisord does, and as six processes that accept from one queue need.
            listener.setblocking(False)
            started = [
                children.start(
                    Program(self.argv, self.folder, self._log(number), environment, listener.fileno())
                )
                for number in range(1, self.processes + 1)
            ]
            try:
                self._wait_until_ready(started)
                yield Address("127.0.0.1", self.ground.port)
            finally:
                children.end(*started)

    def _wait_until_ready(self, started: "list[subprocess.Popen[bytes]]") -> None:
        """Until every process has taken the socket into its event loop, and so sleeps in epoll."""
        deadline = time.monotonic() + START_SECONDS_MAX
        waiting = list(started)
        while waiting:
            for process in waiting:
                if process.poll() is not None:
                    words = self._log(started.index(process) + 1).read_text(errors="replace")[-2000:]
                    raise BenchmarkError(f"{self.name} ended with {process.returncode}:\n{words}")
            waiting = [process for process in waiting if not _accepts(process.pid)]
            if time.monotonic() > deadline:
                raise BenchmarkError(f"{self.name} is not ready after {START_SECONDS_MAX:g} s")
            time.sleep(POLL_SECONDS)
        ask(Address("127.0.0.1", self.ground.port), "GET", "/")

    def _log(self, number: int) -> Path:
        return self.ground.folder / "log" / f"peer-{self.letter}-{number}.log"


def _accepts(pid: int) -> bool:
    """Whether a process waits for descriptor 0, or a copy of it, by epoll."""
    try:
        own = Path(f"/proc/{pid}/fd")
        watched = {
            line.split()[1]
            for entry in own.iterdir()
            if "eventpoll" in str(entry.readlink())
            for line in Path(f"/proc/{pid}/fdinfo/{entry.name}").read_text().splitlines()
            if line.startswith("tfd:")
        }
        listener = (own / "0").readlink()
        return any((own / number).readlink() == listener for number in watched)
    except OSError:
        return False  # it has just begun, or ended
