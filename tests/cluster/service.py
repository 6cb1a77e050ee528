"""Whole services, started as a person starts them, in folders and on ports of their own."""

import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

READY = "Ringfence is ready"
SECONDS_MAX = 60.0


def until(condition: Callable[[], object], what: str, seconds_max: float = SECONDS_MAX) -> None:
    """Waits for a condition, and fails with its description if it does not come true."""
    deadline = time.monotonic() + seconds_max
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds_max:g} s: {what}"
        time.sleep(0.02)


def free_ports(count: int) -> int:
    """The first of `count` neighbouring ports on which nobody listens.

    Below the range from which the system takes ports for outgoing connections,
    so that none is taken between this look and the start.
    """
    for _ in range(1000):
        first = random.randrange(12_000, 30_000)
        try:
            for port in range(first, first + count):
                with socket.socket() as trial:
                    trial.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first
    raise AssertionError("no free ports")


def processes_of(folder: Path) -> dict[int, str]:
    """Living processes that belong to a service of this folder: by environment, words or working folder."""
    found = {}
    mark = os.fsencode(folder)
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()[0] == "Z":
                continue
            words = (entry / "cmdline").read_bytes()
            place = os.fsencode((entry / "cwd").readlink())
            if mark in words or mark in place or mark in (entry / "environ").read_bytes():
                found[int(entry.name)] = words.replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
    return found


class Service:
    """One `ringfence up`, and what a test wants to know about it."""

    def __init__(
        self, folder: Path, argv: list[str], settings: Mapping[str, Any], environment: Mapping[str, str]
    ):
        self.folder = folder
        self.argv = argv
        self.environment = dict(environment)
        self.instances: int = settings["cluster"]["instances"]
        self.port: int = settings["http"]["port"]
        (folder / "config.yaml").write_text(yaml.safe_dump(dict(settings)), encoding="utf-8")
        self.process: subprocess.Popen[str] | None = None
        self.lines: list[str] = []
        self._reader: threading.Thread | None = None

    def begin(self, *prefix: str) -> None:
        """Starts `up` and returns at once."""
        self.lines = []
        self.process = subprocess.Popen(
            [*prefix, *self.argv, "up"],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, args=(self.process,))
        self._reader.start()

    def start(self, *prefix: str) -> None:
        """Starts `up` and waits until it says that it is ready."""
        self.begin(*prefix)
        until(lambda: READY in self.said() or self.exit_code() is not None, "it is ready")
        assert self.exit_code() is None, self.said()

    def said(self) -> str:
        """Everything that it printed so far."""
        return "".join(self.lines)

    def exit_code(self) -> int | None:
        """None while it runs."""
        assert self.process is not None
        return self.process.poll()

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to `up` alone."""
        assert self.process is not None
        self.process.send_signal(number)

    def end(self, seconds_max: float = SECONDS_MAX) -> int:
        """Waits for the end of `up`; returns its exit code."""
        assert self.process is not None and self._reader is not None
        code = self.process.wait(timeout=seconds_max)
        self._reader.join(timeout=5.0)
        return code

    def run(self, *arguments: str, seconds_max: float = SECONDS_MAX) -> "subprocess.CompletedProcess[str]":
        """Runs another command of ringfence in the same folder."""
        return subprocess.run(
            [*self.argv, *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=seconds_max,
            check=False,
        )

    def get(self, path: str, port: int | None = None) -> tuple[int, Any]:
        """Status and body of a GET; status 0 if nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port or self.port}{path}", timeout=5) as answer:
                body = answer.read()
                return answer.status, json.loads(body) if body else None
        except urllib.error.HTTPError as error:
            with error:
                return error.code, None
        except (OSError, ValueError):
            return 0, None

    def is_ready(self) -> bool:
        """Whether the public port and every instance say that they are ready."""
        return all(self.get("/readyz", self.port + n)[0] == 200 for n in range(self.instances + 1))

    def post(self, path: str, body: str) -> tuple[int, Any]:
        """Status and body of a POST of JSON."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            data=body.encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=15) as answer:
            return answer.status, json.loads(answer.read())

    def pid_of(self, program: str) -> int:
        """The pid of a program, as its own supervisord knows it; 0 if it does not run."""
        if program == "supervisord":
            return int((self.folder / "var/run/supervisord.pid").read_text())
        said: list[str] = []

        def is_decided() -> bool:
            # It has a pid at once, which supervisord tells only after startsecs.
            said.append(self.control("status"))
            return re.search(rf"^(?:node:)?{program}\s+STARTING", said[-1], re.MULTILINE) is None

        until(is_decided, f"{program} is not starting any more")
        found = re.search(rf"^(?:node:)?{program}\s+RUNNING\s+pid (\d+)", said[-1], re.MULTILINE)
        return int(found.group(1)) if found else 0

    def control(self, *words: str) -> str:
        """What its own supervisord answers to supervisorctl."""
        file = str(self.folder / "var/run/supervisord.conf")
        done = subprocess.run(
            [sys.executable, "-m", "supervisor.supervisorctl", "-c", file, *words],
            capture_output=True,
            text=True,
            timeout=SECONDS_MAX,
            check=False,
        )
        return done.stdout

    def left(self) -> dict[int, str]:
        """What still runs of it."""
        return processes_of(self.folder)

    def clean_up(self) -> None:
        """Ends whatever a failed test left."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self.process.kill()
        for pid in self.left():
            os.kill(pid, signal.SIGKILL)
        if self._reader is not None:
            self._reader.join(timeout=10)

    def _read(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        with process.stdout as output:
            for line in output:
                self.lines.append(line)


def product_environment(project: Path) -> dict[str, str]:
    """An environment without settings of the person who runs the tests."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RINGFENCE_")}
    return kept | {"PYTHONPATH": str(project)}


def service_settings(instances: int = 2) -> dict[str, Any]:
    """Few instances, no tasks, free ports."""
    return {
        "http": {"port": free_ports(instances + 1)},
        "cluster": {"instances": instances, "drain_seconds": 5},
        "tasks": {},
    }
