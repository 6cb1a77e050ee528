"""A process that holds a lock and a guardian with jobs, as a node does, and nothing else of a node."""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

from server.cluster.lifelock import LockIdentity

NODE = """
import json, os, select, signal, sys
from pathlib import Path
from server.cluster.guardian import boot_time
from server.cluster.guardianship import Guardianship
from server.cluster.lifelock import LifeLock

signal.signal(signal.SIGUSR2, signal.SIG_IGN)  # a real node writes its stacks then
lock = LifeLock(Path(sys.argv[1]), "node")
guardian = Guardianship(lock.fd)
deadline = boot_time() + float(sys.argv[2])
runs = json.loads(sys.argv[3])
guardian.arm(deadline, len(runs))
for run, seconds in runs.items():
    guardian.limit(int(run), boot_time() + (seconds or 1), "timed_out", in_loop=True)
    if seconds is None:
        guardian.unlimit(int(run))
null = os.open(os.devnull, os.O_RDWR)
for run, program in enumerate(sys.argv[4:], 1):
    guardian.start(run, [sys.executable, "-c", program], (null, null))
pids = {}
def told(message):
    if message["is"] == "started":
        pids[message["run"]] = message["pid"]
while len(pids) < len(sys.argv) - 4:
    select.select([guardian.socket], [], [], 10)
    guardian.receive(told)
identity = lock.identity
print(json.dumps({"guardian": guardian.pid, "jobs": list(pids.values()),
                  "lock": [identity.boot_id, identity.path, identity.device, identity.inode]}), flush=True)
for line in sys.stdin:
    for _ in range(int(line)):
        select.select([], [guardian.socket], [])
        guardian.arm(deadline, len(runs))
    print("flooded", flush=True)
"""

SLEEPER = "import time; time.sleep(600)"
# Its grandchild leaves the session and loses its parent, as a daemon does.
ABANDONER = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        open(sys.argv[1] if len(sys.argv) > 1 else PATH, "w").write(str(os.getpid()))
        time.sleep(600)
    os._exit(0)
time.sleep(600)
"""


def wait_until(condition, seconds: float = 10.0):
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        select.select([], [], [], 0.01)
    return value


def state_of(pid: int) -> str:
    """The letter that the kernel has for the state of a process; X for one that is not there."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "X"


def is_gone(pid: int) -> bool:
    return state_of(pid) in "ZX"


class FakeNode:
    """A process that holds a lock and a guardian with jobs, as a node does.

    loop_runs: runs that it says are in its own loop, each with its seconds; None for one that has ended.
    """

    def __init__(
        self,
        folder: Path,
        lease_seconds: float,
        *programs: str,
        loop_runs: dict[int, float | None] | None = None,
    ) -> None:
        runs = json.dumps(loop_runs or {})
        self.process = subprocess.Popen(
            [sys.executable, "-c", NODE, str(folder), str(lease_seconds), runs, *programs],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        told = json.loads(self.process.stdout.readline())
        self.guardian: int = told["guardian"]
        self.jobs: list[int] = told["jobs"]
        self.lock = LockIdentity(*told["lock"])

    def flood(self, questions: int) -> None:
        """Lets the node ask its guardian so many questions, whose answers it never reads."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{questions}\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "flooded\n"

    def kill_together_with_guardian(self) -> None:
        """Both in one instant: neither gets to do anything about the other's end."""
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in (self.process.pid, self.guardian):
                os.kill(pid, number)
            wait_until(lambda: all(state_of(pid) in "TZX" for pid in (self.process.pid, self.guardian)))

    def everybody(self) -> list[int]:
        return [self.process.pid, self.guardian, *self.jobs]

    def close(self) -> None:
        for pid in self.everybody():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()
