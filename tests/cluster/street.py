"""Hosts beside each other, each with a checkout, and what the README says about a second one."""

import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from hosts import FIRST, HOSTS, SECOND, THIRD, Namespaces, OneHost
from service import processes_of, product_environment

from server.postgres import data_folder
from server.postgres.binaries import binary, clean_environment, run, server_argv

TASKS, INSTANCES, TTL_SECONDS = 6, 2, 6
HERE = Path(__file__).resolve().parent


class Chapter:
    """What the README says, in its order."""

    def __init__(self, readme: str) -> None:
        text = re.search(r"^## A second host\n(.*?)^## ", readme, re.MULTILINE | re.DOTALL)
        assert text
        blocks: dict[str, list[str]] = {}
        for language, block in re.findall(r"^```(\w+)\n(.*?)^```", text[1], re.MULTILINE | re.DOTALL):
            blocks.setdefault(language, []).append(block)
        (self.roles,), (self.rule,), (self.settings,) = blocks["sql"], blocks["conf"], blocks["yaml"]
        self.on_first, self.on_second, self.on_third = (block.splitlines() for block in blocks["sh"])


class Street:
    """The hosts, each with a checkout in a folder of its own; the first also has the database."""

    def __init__(self, folder: Path, project: Path, hosts: Namespaces | OneHost) -> None:
        self.folder, self.project, self.hosts = folder, project, hosts
        self.witness = folder / "witness.jsonl"
        self.witness.touch()
        self.data = folder / "postgres"
        self.processes: dict[int, subprocess.Popen[bytes]] = {}
        for host in HOSTS:
            program = self.home(host) / ".venv/bin/ringfence"
            program.parent.mkdir(parents=True)
            program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m server "$@"\n')
            program.chmod(0o755)

    def home(self, host: int) -> Path:
        """The checkout of a host."""
        return self.folder / f"host-{host}"

    def postgres(self, *what: str) -> None:
        """Runs pg_ctl on the first host."""
        log = str(self.folder / "postgres.log")
        argv = server_argv("pg_ctl", "-w", "-D", str(self.data), "-l", log, *what)
        # Not captured: the server keeps the output open as long as it lives.
        subprocess.run(
            [*self.hosts.enter(FIRST), *argv],
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            timeout=60,
            check=True,
        )

    def set_up_database(self, chapter: Chapter) -> None:
        """What apt does, and then what the README says."""
        data_folder.make_empty(self.data).rename(self.data)
        data_folder.write_settings(self.data, self.data)
        self.postgres("start")
        psql = [str(binary("psql")), "-X", "-v", "ON_ERROR_STOP=1", "-h", str(self.data), "-U", "postgres"]
        run([*psql, "-d", "postgres"], "the roles", self.hosts.adapt(chapter.roles))
        # Before the others: this server's own rules refuse every host.
        rules = self.data / "pg_hba.conf"
        rules.write_text(self.hosts.adapt(chapter.rule) + rules.read_text())
        self.postgres("restart")

    def configure(self, chapter: Chapter) -> None:
        """The README's lines, tasks that wait to be told, and little patience."""
        work = {"function": "witness:work", "every": "1h", "first": "scheduled"}
        work |= {"params": {"path": str(self.witness), "seconds": 300}}
        settings: dict[str, Any] = yaml.safe_load(self.hosts.adapt(chapter.settings))
        quick = {"instances": INSTANCES, "ttl": TTL_SECONDS, "margin": 1, "settle": 1, "drain_seconds": 1}
        for section, more in [("cluster", quick), *self.hosts.settings.items()]:
            settings[section] = settings.get(section, {}) | more
        settings["tasks"] = {f"task-{number}": work for number in range(TASKS)}
        for host in (FIRST, SECOND):
            (self.home(host) / "config.yaml").write_text(yaml.safe_dump(settings))

    def start(self, host: int, line: str) -> subprocess.Popen[bytes]:
        """Runs a line on a host; what it says goes into a file beside."""
        with (self.folder / f"host-{host}.log").open("ab") as log:
            process = subprocess.Popen(
                [*self.hosts.enter(host), "bash", "-c", f"exec {self._typed(line)}"],
                cwd=self.home(host),
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.processes[host] = process
        return process

    def said(self, host: int) -> str:
        """What the line said."""
        return (self.folder / f"host-{host}.log").read_text(errors="replace")

    def run(self, host: int, line: str) -> "subprocess.CompletedProcess[str]":
        """Runs a line on a host to its end."""
        return subprocess.run(
            [*self.hosts.enter(host), "bash", "-c", self._typed(line)],
            cwd=self.home(host),
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def look(self, line: str) -> dict[str, Any]:
        """What `top` tells at the third place, as an object; empty while nobody answers there."""
        done = self.run(THIRD, f"{line} --once --json")
        return json.loads(done.stdout) if done.returncode == 0 else {}

    def testimony(self) -> list[dict[str, Any]]:
        """What the jobs themselves wrote."""
        return [json.loads(line) for line in self.witness.read_text().splitlines()]

    def kill_second(self) -> None:
        """The whole host where it is one, else all that it runs."""
        if isinstance(self.hosts, Namespaces):
            self.hosts.kill(SECOND)
        else:
            self.processes[SECOND].kill()
        self.processes[SECOND].wait(timeout=10)

    def close(self) -> None:
        """Ends everything."""
        first = self.processes.get(FIRST)
        if isinstance(self.hosts, OneHost) and first is not None and first.poll() is None:
            first.send_signal(signal.SIGINT)
            first.wait(timeout=30)
        if isinstance(self.hosts, OneHost) and self.data.exists():
            self.postgres("stop", "-m", "immediate")
        self.hosts.close()
        for process in self.processes.values():
            process.wait(timeout=10)
        for pid in processes_of(self.folder):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _typed(self, line: str) -> str:
        # What `make run` does beyond this, installing, was done before the tests.
        return (
            self.hosts.adapt(line)
            .replace("make install", "true")
            .replace("make run", ".venv/bin/ringfence up")
        )

    @property
    def _environment(self) -> dict[str, str]:
        environment = product_environment(self.project)
        return environment | {"PYTHONPATH": os.pathsep.join([str(self.project), str(HERE)])}
