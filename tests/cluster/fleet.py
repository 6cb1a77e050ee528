"""Real nodes as real processes, for tests: started, watched, killed, and always cleaned up."""

import contextlib
import json
import os
import random
import select
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import yaml
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

TTL_SECONDS = 6
HERE = Path(__file__).resolve().parent
Value = TypeVar("Value")


def wait_until(condition: Callable[[], Value], seconds: float = 30.0, why: str = "it") -> Value:
    """Returns the condition's first true value; fails if there is none in time."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{why} did not happen within {seconds:g} s"
        select.select([], [], [], 0.02)
    return value


def free_ports(count: int) -> int:
    """The first of `count` ports in a row that nobody listens on."""
    chooser = random.SystemRandom()
    for _ in range(200):
        first = chooser.randrange(20_000, 30_000)
        with contextlib.ExitStack() as stack:
            try:
                for port in range(first, first + count):
                    stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            except OSError:
                continue
            return first
    raise AssertionError("no free ports in a row")


def is_alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def children(pid: int) -> list[int]:
    """The direct children of a process."""
    found = []
    with contextlib.suppress(FileNotFoundError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(FileNotFoundError):
                found += [int(word) for word in (task / "children").read_text().split()]
    return found


class Fleet:
    """Some nodes of one cluster, on one database, with one configuration.

    program: what a node runs; `faulty` for one that a test can break.
    output: a descriptor that takes what nodes say, instead of their log files.
    stdin: a descriptor for their input, where supervisord hands them the public socket.
    tree: where the product lies that the next nodes run. variables: further settings of theirs.
    place: their working folder; by default that of their configuration.
    """

    program = "server"
    stdin: int = subprocess.DEVNULL
    output: int | None = None
    tree = HERE.parent.parent

    def __init__(self, folder: Path, url: str, tasks: dict[str, Any], **cluster: Any) -> None:
        self.folder = folder
        self.url = url
        self.witness = folder / "witness"
        self.witness.touch()
        self.port = free_ports(12)
        self.processes: dict[int, subprocess.Popen[bytes]] = {}
        self.variables: dict[str, str] = {}
        self.place = folder
        self.cluster = {"ttl": TTL_SECONDS, "margin": 1, "settle": 1.5, "drain_seconds": 5} | cluster
        self.config = folder / "config.yaml"
        self.configure(tasks)

    def configure(self, tasks: dict[str, Any], revision: int = 1) -> None:
        """Writes the configuration, which counts for a node from its next start on."""
        settings = {
            "revision": revision,
            "http": {"port": self.port},
            "cluster": self.cluster,
            "tasks": tasks,
            "logging": {"level": "debug"},
        }
        self.config.write_text(yaml.safe_dump(settings))

    def start(self, *numbers: int) -> None:
        """Starts nodes, all at one moment."""
        environ = {k: v for k, v in os.environ.items() if not k.startswith("RINGFENCE_")} | {
            "RINGFENCE_DATABASE__URL": self.url,
            "PYTHONPATH": os.pathsep.join([str(self.tree), str(HERE)]),
            **self.variables,
        }
        for number in numbers:
            with (self.folder / f"node-{number}.log").open("ab") as log:
                self.processes[number] = subprocess.Popen(
                    [
                        sys.executable,
                        "-P",  # as `ringfence up` does it
                        "-m",
                        self.program,
                        "serve",
                        "--node",
                        str(number),
                        "--config",
                        str(self.config),
                    ],
                    env=environ,
                    cwd=self.place,
                    stdin=self.stdin,
                    stdout=log if self.output is None else self.output,
                    stderr=log if self.output is None else self.output,
                )

    def signal(self, number: int, what: signal.Signals) -> None:
        """Sends a signal to a node's own process."""
        self.processes[number].send_signal(what)

    def wait_for_end(self, number: int, seconds: float = 15.0) -> int:
        """The exit code of a node that ends."""
        code = self.processes[number].wait(timeout=seconds)
        del self.processes[number]  # not before: whoever does not end is ended with the fleet
        return code

    def restart(self, number: int) -> None:
        """Lets a node drain and starts it again."""
        self.signal(number, signal.SIGTERM)
        assert self.wait_for_end(number, 60) == 0
        self.start(number)

    def guardian_of(self, number: int) -> int:
        """The process id of a node's guardian."""
        return children(self.processes[number].pid)[0]

    def get(self, path: str, node: int | None = None) -> Any:
        """The JSON answer of a node (the first that runs, if none is named)."""
        number = node or min(self.processes)
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port + number}{path}", timeout=10) as answer:
            return json.load(answer)

    def post(self, path: str, node: int | None = None) -> int:
        """Asks a node to act; returns the status of its answer."""
        number = node or min(self.processes)
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port + number}{path}",
            data=b"{}",
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status

    def families(self, node: int | None = None) -> list[Metric]:
        """What a node tells to Prometheus."""
        number = node or min(self.processes)
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port + number}/metrics", timeout=10) as answer:
            return list(text_string_to_metric_families(answer.read().decode()))

    def metrics(self, node: int | None = None) -> dict[tuple[str, ...], float]:
        """The same: each sample by its name and the values of its labels, these by the labels' names."""
        return {
            (sample.name, *sample.labels.values()): sample.value
            for family in self.families(node)
            for sample in family.samples
        }

    def is_ready(self, number: int) -> bool:
        """Whether a node answers that it is ready."""
        assert self.processes[number].poll() is None, self.log(number)
        try:
            self.get("/readyz", number)
        except (OSError, urllib.error.HTTPError):
            return False
        return True

    def wait_ready(self, seconds: float = 60.0) -> None:
        """Waits until every node that runs is ready."""
        for number in self.processes:
            wait_until(lambda number=number: self.is_ready(number), seconds, f"node-{number} ready")

    def running(self) -> dict[str, dict[str, Any]]:
        """task -> its running run, as a node tells it."""
        return {task["name"]: task["running"] for task in self.get("/tasks")["tasks"] if task["running"]}

    def spread(self) -> Counter[str]:
        """How many running runs each node holds."""
        return Counter(run["node"] for run in self.running().values())

    def runs(self, **filters: str) -> list[dict[str, Any]]:
        """The history, newest first."""
        query = "&".join(f"{key}={value}" for key, value in filters.items())
        return self.get(f"/runs?limit=1000&{query}")["runs"]

    def ended(self, seconds: float = 30.0, **filters: str) -> dict[str, Any]:
        """The newest run that has ended; waits for it."""
        return wait_until(
            lambda: next((run for run in self.runs(**filters) if run["status"] != "running"), None),
            seconds,
            "an ending",
        )

    def testimony(self) -> list[dict[str, Any]]:
        """What the jobs themselves wrote, outside every table of the product."""
        return [json.loads(line) for line in self.witness.read_text().splitlines()]

    def told_by(self, task: str, event: str | None = None) -> list[dict[str, Any]]:
        """The same of one task, and of one event if it is named."""
        return [line for line in self.testimony() if line["task"] == task and event in {None, line["event"]}]

    def log(self, number: int) -> str:
        """What a node wrote to its log."""
        return (self.folder / f"node-{number}.log").read_text(errors="replace")

    def close(self) -> None:
        """Ends everything that this fleet started."""
        for process in self.processes.values():
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
                process.send_signal(signal.SIGINT)
        deadline = time.monotonic() + 10
        for process in self.processes.values():
            try:
                process.wait(timeout=max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def overlaps(testimony: list[dict[str, Any]]) -> list[str]:
    """Every two executions of one task that the witness saw at one moment.

    An execution without an end (it was killed) counts until its last tick.
    """
    spans: dict[str, dict[int, list[float]]] = {}
    for line in testimony:
        spans.setdefault(line["task"], {}).setdefault(line["run"], []).append(line["at"])
    found = []
    for task, runs in spans.items():
        ordered = sorted((min(moments), max(moments), run) for run, moments in runs.items())
        for (_, end, run), (start, _, other) in pairwise(ordered):
            if start < end:
                found.append(f"{task}: run {other} began {end - start:.3f} s before run {run} ended")
    return found
