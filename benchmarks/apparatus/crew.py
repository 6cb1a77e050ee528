"""A peer of failover.py: the same program in six processes, and what must run beside them."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.apparatus.children import BenchmarkError, Program
from benchmarks.apparatus.contestants import Ground
from benchmarks.apparatus.held import Held, family
from benchmarks.apparatus.postgres import Database
from benchmarks.apparatus.schedulers import ROOT, WORKERS, Team, fresh_folder
from benchmarks.apparatus.witness import FOLDER_VARIABLE, WORKER_VARIABLE

PEERS = ROOT / "benchmarks" / "peers"
PREPARE_SECONDS_MAX = 60.0


@dataclass(frozen=True)
class PeerScheduler:
    """A program of benchmarks/peers in six processes.

    prepare: run once before, such as the making of tables.
    besides: programs that run once beside the workers, by their names.
    beneath: what must run under all of them, such as a broker.
    """

    letter: str
    name: str
    lease: str
    ground: Ground
    database: Callable[[], Database]
    worker: Sequence[str]
    prepare: Sequence[str] = ()
    besides: Mapping[str, Sequence[str]] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    beneath: Callable[[], "AbstractContextManager[None]"] = contextlib.nullcontext
    missing: str = ""

    @contextlib.contextmanager
    def up(self) -> Iterator[Team]:
        """See Scheduler."""
        folder = fresh_folder(self.ground, self.letter)
        environment = {
            **self.database().environment(),
            **self.environment,
            FOLDER_VARIABLE: str(folder),
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(PEERS)]),
        }
        with self.beneath(), _Crew(self, folder, environment) as crew:
            crew.start()
            yield crew

    def log(self, worker: str) -> Path:
        """Where a worker's output goes."""
        return self.ground.folder / "log" / f"failover-{self.letter}-{worker}.log"


class _Crew:
    """The processes of a peer that is up."""

    announces = True

    def __init__(self, peer: PeerScheduler, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self._peer = peer
        self._environment = dict(environment)
        self._workers: dict[str, subprocess.Popen[bytes]] = {}
        self._others: list[subprocess.Popen[bytes]] = []
        self._bereaved = contextlib.ExitStack()
        self._starts = 0

    def __enter__(self) -> "_Crew":
        return self

    def __exit__(self, *_: object) -> None:
        self._peer.ground.children.end(*self._others, *self._workers.values())
        self._bereaved.close()

    def start(self) -> None:
        """Prepares, and starts everybody at one moment."""
        if self._peer.prepare:
            preparing = self._run("prepare", self._peer.prepare)
            if preparing.wait(PREPARE_SECONDS_MAX) != 0:
                words = self._peer.log("prepare").read_text(errors="replace")[-2000:]
                raise BenchmarkError(f"{self._peer.name}, preparation:\n{words}")
            self._peer.ground.children.end(preparing)
        for number in range(1, WORKERS + 1):
            self.revive(f"worker-{number}")
        self._others += [self._run(name, argv) for name, argv in self._peer.besides.items()]

    def pid(self, worker: str) -> int:
        """See Team."""
        # Whatever it started is to end with the benchmark, even if the worker is killed now.
        held = self._bereaved.enter_context(Held(family(self._workers[worker].pid)[1:]))
        self._bereaved.callback(held.send, signal.SIGKILL)
        return self._workers[worker].pid

    def revive(self, worker: str) -> None:
        """See Team."""
        former = self._workers.get(worker)
        if former is not None:
            self._peer.ground.children.end(former)
        self._workers[worker] = self._run(worker, [word.format(worker=worker) for word in self._peer.worker])

    def _run(self, name: str, argv: Sequence[str]) -> "subprocess.Popen[bytes]":
        self._starts += 1
        log = self._peer.log(name if name not in self._workers else f"{name}-start-{self._starts}")
        environment = self._environment | {WORKER_VARIABLE: name}
        return self._peer.ground.children.start(Program(argv, self.folder, log, environment))
