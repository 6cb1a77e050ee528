"""The nodes of a storm as processes: started, kept running, looked at, and always ended.

What ends is started again after a moment, as supervisord does it; a fault that wants a
node to stay away holds it.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml
from fleet import children

from storm.evidence import Ending
from storm.network import Network
from storm.postgres import StormPostgres

CHAOS = Path(__file__).resolve().parents[1]
PROJECT = CHAOS.parents[1]
MEMBER_SECONDS_MAX = 90.0
WATCH_SECONDS = 0.2
ASK_SECONDS = 0.1


def wait_for(condition: Callable[[], bool], seconds_max: float, why: str) -> None:
    """For what costs a query to look at, which 50 a second would disturb; fails if it does not come."""
    deadline = time.monotonic() + seconds_max
    while not condition():
        assert time.monotonic() < deadline, f"{why} did not happen within {seconds_max:g} s"
        threading.Event().wait(ASK_SECONDS)


class Stage:
    """Some nodes of one cluster, each where its network puts it."""

    def __init__(self, folder: Path, network: Network, postgres: StormPostgres, settings: dict[str, Any]):
        self.folder = folder
        self.network = network
        self.postgres = postgres
        self.port: int = settings["http"]["port"]
        self.numbers = range(1, settings["cluster"]["instances"] + 1)
        self.endings: list[Ending] = []
        self._config = folder / "config.yaml"
        self._config.write_text(yaml.safe_dump(settings))
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._held: set[int] = set()
        self._guard = threading.RLock()
        self._closed = threading.Event()
        self._watcher = threading.Thread(target=self._keep_running, name="watcher", daemon=True)

    def open(self) -> None:
        """Starts all nodes at one moment, and keeps them running from now on."""
        for number in self.numbers:
            self.start(number)
        self._watcher.start()
        self.wait_for_members()

    def start(self, number: int) -> None:
        """Starts one node; returns at once."""
        environ = {name: value for name, value in os.environ.items() if not name.startswith("RINGFENCE_")}
        environ |= {
            "RINGFENCE_DATABASE__URL": self.postgres.application_url,
            "RINGFENCE_HTTP__HOST": self.network.host(number),
            "PYTHONPATH": os.pathsep.join([str(PROJECT), str(CHAOS)]),
        }
        argv = [sys.executable, "-m", "server", "serve", "--node", str(number), "--config", str(self._config)]
        with self.log_file(number).open("ab") as log, self._guard:
            self._processes[number] = subprocess.Popen(
                [*self.network.enter(number), *argv],
                env=environ,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def log_file(self, number: int) -> Path:
        """What a node writes to its standard error: JSON lines, and what is none."""
        return self.folder / f"node-{number}.log"

    @contextlib.contextmanager
    def held(self, number: int) -> Iterator["subprocess.Popen[bytes]"]:
        """The node's process; it is not started again before the end of this."""
        with self._guard:
            self._held.add(number)
        try:
            yield self._processes[number]
        finally:
            with self._guard:
                if self._processes[number].poll() is not None and not self._closed.is_set():
                    self.start(number)
                self._held.discard(number)

    def pid(self, number: int) -> int:
        """The process of a node."""
        return self._processes[number].pid

    def guardian(self, number: int) -> int | None:
        """The process of a node's guardian."""
        return next(iter(children(self.pid(number))), None)

    def jobs(self, number: int) -> list[int]:
        """The processes of a node's jobs."""
        guardian = self.guardian(number)
        return sorted(children(guardian)) if guardian else []

    # What the cluster knows

    def members(self) -> dict[int, dict[str, Any]]:
        """number -> row of each node that lives and has its own process; nothing without a database."""
        rows = self.postgres.rows_if_there("select name, incarnation, pid, state from nodes")
        by_name = {row["name"]: row for row in rows if row["state"] == "live"}
        return {
            number: by_name[f"node-{number}"]
            for number in self.numbers
            if f"node-{number}" in by_name and by_name[f"node-{number}"]["pid"] == self.pid(number)
        }

    def incarnation(self, number: int) -> int | None:
        """The node's incarnation, if it is a member."""
        member = self.members().get(number)
        return member["incarnation"] if member else None

    def wait_for_members(self, *wanted: int, beyond: int = 0) -> None:
        """Until these nodes (all, if none is named) are members, with an incarnation above `beyond`."""

        def there() -> bool:
            members = self.members()
            return all(
                number in members and members[number]["incarnation"] > beyond
                for number in (wanted or self.numbers)
            )

        wait_for(there, MEMBER_SECONDS_MAX, f"nodes {list(wanted or self.numbers)} are members")

    # The end

    def _keep_running(self) -> None:
        while not self._closed.wait(WATCH_SECONDS):
            with self._guard:
                for number, process in self._processes.items():
                    if number not in self._held and process.poll() is not None:
                        self.endings.append(Ending(f"node-{number}", time.monotonic(), process.returncode))
                        self.start(number)

    def stop_all(self, seconds_max: float = 30.0) -> None:
        """SIGTERM to all at one moment; returns when all have drained and ended."""
        self._closed.set()
        self._watcher.join()
        for process in self._processes.values():
            process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + seconds_max
        for process in self._processes.values():
            process.wait(timeout=max(0.1, deadline - time.monotonic()))

    def close(self) -> None:
        """Ends everything that is left, whatever state it is in."""
        self._closed.set()
        for number, process in self._processes.items():
            if process.poll() is None:
                frozen = [*self.jobs(number), *children(process.pid)]
                process.kill()
                for pid in frozen:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGCONT)
                process.wait()
