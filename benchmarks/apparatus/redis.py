"""A Redis of the benchmark's own, for the peer that needs a broker: nothing of it is kept on disk."""

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator

from benchmarks.apparatus.children import POLL_SECONDS, BenchmarkError, Program
from benchmarks.apparatus.contestants import Ground

MISSING = "redis-server is not here: apt-get install redis-server"
START_SECONDS_MAX = 20.0


def is_here() -> bool:
    """Whether Redis can be run."""
    return shutil.which("redis-server") is not None


def version() -> str:
    """Its version, for the report."""
    if not is_here():
        return "missing"
    done = subprocess.run(["redis-server", "--version"], capture_output=True, text=True, check=False)
    return next((word[2:] for word in done.stdout.split() if word.startswith("v=")), "unknown")


def url(port: int) -> str:
    """Its first database."""
    return f"redis://127.0.0.1:{port}/0"


@contextlib.contextmanager
def running(ground: Ground, port: int) -> Iterator[None]:
    """Runs it, empty, for as long as the context. Raises BenchmarkError if it does not start."""
    program = shutil.which("redis-server") or "redis-server"
    argv = [program, "--bind", "127.0.0.1", "--port", str(port), "--dir", str(ground.folder)]
    log = ground.folder / "log" / "redis.log"
    process = ground.children.start(Program([*argv, "--save", "", "--appendonly", "no"], ground.folder, log))
    try:
        deadline = time.monotonic() + START_SECONDS_MAX
        while not _answers(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise BenchmarkError(f"Redis does not start; see {log}")
            time.sleep(POLL_SECONDS)
        yield
    finally:
        ground.children.end(process)


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1.0) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False
