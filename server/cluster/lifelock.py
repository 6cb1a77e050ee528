"""A lock that every process of one incarnation holds while any of them lives.

At each start a node makes a new file, locks it exclusively before it registers,
and publishes the file's identity. Guardian and jobs inherit the descriptor. A
peer on the same host that gets a *shared* lock on that very file has a proof
that all of them are gone, with no clock and no waiting involved.
"""

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> str:
    """Names this start of this host."""
    return BOOT_ID.read_text(encoding="ascii").strip()


@dataclass(frozen=True)
class LockIdentity:
    """What a peer must compare before it believes a lock."""

    boot_id: str
    path: str
    device: int
    inode: int


class LifeLock:
    """The lock of this process; never taken a second time."""

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{name}.{os.getpid()}.{os.urandom(4).hex()}.lock"
        self.fd = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        status = os.fstat(self.fd)
        self.identity = LockIdentity(boot_id(), str(self.path), status.st_dev, status.st_ino)

    def release(self) -> None:
        """Closes this process's descriptor; others of the incarnation keep the lock."""
        os.close(self.fd)


def is_proven_dead(identity: LockIdentity) -> bool:
    """Whether every process of the incarnation that published this is gone.

    False also stands for "can't tell": another host or boot, a file that is
    gone or was replaced, no right to open it.
    """
    if identity.boot_id != boot_id():
        return False
    try:
        fd = os.open(identity.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False  # doubt closes: then only the lease says when it is over
    try:
        status = os.fstat(fd)
        if (status.st_dev, status.st_ino) != (identity.device, identity.inode):
            return False
        # Shared, so that two testers at once both get it; closing gives it back.
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(fd)
    return True


def clear_stale(folder: Path, name: str, keep: Path) -> None:
    """Removes lock files of this name whose processes are gone.

    Called after this incarnation has registered: nobody needs a proof about an
    earlier one any more.
    """
    for path in folder.glob(f"{name}.*.lock"):
        if path == keep:
            continue
        try:
            status = path.stat()
        except FileNotFoundError:
            continue
        if is_proven_dead(LockIdentity(boot_id(), str(path), status.st_dev, status.st_ino)):
            path.unlink(missing_ok=True)


def may_any_live(folder: Path) -> bool:
    """Whether a node of this folder may live: a lock file that nobody can be proven to have let go."""
    for path in folder.glob("*.lock"):
        try:
            status = path.stat()
        except FileNotFoundError:
            continue
        if not is_proven_dead(LockIdentity(boot_id(), str(path), status.st_dev, status.st_ino)):
            return True
    return False
