"""One `ringfence up` for each var folder: a lock that ends with its process, whatever ends it."""

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from server.errors import RingfenceError

# A look by another command takes the lock for a moment; it must not count as a holder.
LOOK_SECONDS_MAX = 0.3


@dataclass(frozen=True)
class Holder:
    """The `ringfence up` that runs: its pid, and where it serves."""

    pid: int
    address: str


class RunsAlreadyError(RingfenceError):
    """Another `ringfence up` serves the same var folder."""

    code = "runs_already"


@contextlib.contextmanager
def held(var_folder: Path, address: str) -> Iterator[None]:
    """Holds the lock. Raises RunsAlreadyError, with who holds it, at once."""
    path = _path(var_folder)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise RingfenceError(
            f"{error.filename}: {error.strerror}. Everything is kept below {var_folder}: let this user "
            f"(uid {os.geteuid()}) write there, or set `var` in config.yaml to another folder."
        ) from None
    try:
        if not _take(lock):
            other = _read(lock)
            raise RunsAlreadyError(
                f"it runs already: {other.address} (pid {other.pid}). Stop that one first (Ctrl-C there, or "
                f"`kill {other.pid}`)."
                if other
                else f"{path}: another ringfence is starting here"
            )
        os.ftruncate(lock, 0)
        os.pwrite(lock, json.dumps({"pid": os.getpid(), "address": address}).encode(), 0)
        yield
        os.ftruncate(lock, 0)
    finally:
        os.close(lock)


def holder(var_folder: Path) -> Holder | None:
    """Who holds the lock; None if nobody does."""
    try:
        lock = os.open(_path(var_folder), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read(lock)
    else:
        return None
    finally:
        os.close(lock)


def _take(lock: int) -> bool:
    deadline = time.monotonic() + LOOK_SECONDS_MAX
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        else:
            return True


def _read(lock: int) -> Holder | None:
    try:
        content = json.loads(os.pread(lock, 4096, 0))
        return Holder(content["pid"], content["address"])
    except (ValueError, KeyError):
        return None  # it has just been made, and nothing is written yet


def _path(var_folder: Path) -> Path:
    return var_folder / "ringfence.lock"
