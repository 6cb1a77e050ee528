"""How often the guardians of this node's earlier incarnations have killed it, and why.

A killed process counts nothing, so its guardian leaves a line in a file, and the next
incarnation counts those. One line in a ttl at most: the file stays small.
"""

from collections import Counter
from pathlib import Path

from server.cluster.lifelock import LifeLock

KINDS = ("lease", "loop")
"""Its lease was about to end and it still held a run; or a run in its loop did not stop."""


def path_in(folder: Path, name: str) -> Path:
    """The file of a node whose lock files are in that folder."""
    return folder / f"{name}.stops"


def path_beside(lock: LifeLock, name: str) -> Path:
    """The same, for whoever has the lock."""
    return path_in(lock.path.parent, name)


def read(path: Path) -> Counter[str]:
    """How often, by kind; every kind is there."""
    found = Counter(dict.fromkeys(KINDS, 0))
    try:
        words = path.read_text(encoding="ascii").split()
    except (FileNotFoundError, UnicodeDecodeError):
        return found  # there was none; or the file is not ours, and a metric is no reason to fail
    found.update(word for word in words if word in KINDS)
    return found
