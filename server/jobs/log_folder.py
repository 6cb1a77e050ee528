"""Compresses rotated logs, and removes an original only after its archive was verified.

The way of a log, each arrow a rename or a verified copy, so that a kill between any
two leaves nothing lost and the next run goes on from there:

    node-1.log.1  ->  node-1.log.<time>-<inode>.rotated  ->  node-1.log.<time>-<inode>.gz

The first rename takes the file out of the rotation: otherwise a rotation between the
copy and the removal would put a younger log under the name that is removed. A live
log (`*.log`) is never opened. A rotated one is taken when two looks found it the same,
since whoever wrote it may write a last line.

Not promised: that a program which keeps a rotated log open for minutes, and then
writes to it, finds its line in the archive.
"""

from __future__ import annotations

import gzip
import os
import re
import shutil
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from stat import S_ISREG
from typing import IO, NamedTuple

CHUNK_BYTES = 256 * 1024
COMPRESSION_LEVEL = 6  # 9, the default, takes four times as long for a tenth less

LIVE = re.compile(r".+\.log")
ROTATED = re.compile(r"(?P<log>.+\.log)\.\d+")
CLAIMED = re.compile(r"(?P<log>.+\.log)\.\d{8}T\d{6}-\d+\.rotated")
ARCHIVE = re.compile(r"(?P<log>.+\.log)\.\d{8}T\d{6}-\d+\.gz")

Breathe = Callable[[], None]
Identity = tuple[int, int, int]


class Digest(NamedTuple):
    """What two files with the same content have in common."""

    length_bytes: int
    sha256: str


class Compressed(NamedTuple):
    """One log that was replaced by its archive."""

    name: str
    raw_bytes: int
    archive_bytes: int


class LogFolder:
    """One folder of logs; remembers between two looks what it saw."""

    def __init__(self, folder: Path, breathe: Breathe) -> None:
        self._folder = folder
        self._breathe = breathe
        self._seen: dict[Path, Identity] = {}

    def live_bytes(self) -> int:
        """How large the live logs are together; the one thing asked of them."""
        return sum(status.st_size for status in self._files(LIVE).values())

    def archives(self) -> list[Path]:
        """All archives, oldest first."""
        return sorted(self._files(ARCHIVE), key=lambda path: path.name.rsplit(".", 2)[1])

    def take(self) -> list[Path]:
        """Takes what did not change since the last look, and what an earlier run had taken."""
        taken = list(self._files(CLAIMED))
        now = {path: _identity(status) for path, status in self._files(ROTATED).items()}
        for path, identity in now.items():
            if self._seen.get(path) == identity:
                # A rotation may rename the file just now; it is found again at the next look.
                with suppress(FileNotFoundError):
                    taken.append(claim(path))
        self._seen = now
        return taken

    def compress(self, source: Path) -> Compressed:
        """Replaces a taken log by its archive.

        Raises RuntimeError, and keeps the original, when the archive does not hold
        what the original holds.
        """
        target = source.with_suffix(".gz")
        partial = source.with_suffix(".partial")
        try:
            before = source.lstat()
            with source.open("rb") as raw, partial.open("wb") as packed:
                with gzip.GzipFile("", "wb", COMPRESSION_LEVEL, packed, mtime=0) as archive:
                    written = self._digest(raw, archive)
                packed.flush()
                os.fsync(packed.fileno())
            if self.read_archive(partial) != written or _identity(source.lstat()) != _identity(before):
                raise RuntimeError(f"{source.name}: the archive does not hold what the log holds now")
            # Who may not read the log may not read its archive.
            shutil.copystat(source, partial)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
        source.unlink()
        return Compressed(target.name, written.length_bytes, target.lstat().st_size)

    def read_archive(self, path: Path) -> Digest:
        """Decompresses all of an archive; raises OSError or EOFError when it is damaged."""
        with gzip.open(path, "rb") as archive:
            return self._digest(archive)

    def prune(self, archives_kept: int) -> int:
        """Removes the oldest archives of each log; how many.

        Taking logs out of the rotation takes away the rotation's own limit, so this is it.
        """
        kept: dict[str, int] = {}
        removed = 0
        for path in reversed(self.archives()):
            log = path.name.rsplit(".", 2)[0]
            kept[log] = kept.get(log, 0) + 1
            if kept[log] > archives_kept:
                path.unlink()
                removed += 1
        return removed

    def _digest(self, source: IO[bytes] | gzip.GzipFile, copy: gzip.GzipFile | None = None) -> Digest:
        length_bytes, content = 0, sha256()
        while chunk := source.read(CHUNK_BYTES):
            content.update(chunk)
            length_bytes += len(chunk)
            if copy is not None:
                copy.write(chunk)
            self._breathe()
        return Digest(length_bytes, content.hexdigest())

    def _files(self, names: re.Pattern[str]) -> dict[Path, os.stat_result]:
        """The regular files with such names, in order; a link could point anywhere."""
        found: dict[Path, os.stat_result] = {}
        if not self._folder.is_dir():
            return found
        for path in sorted(path for path in self._folder.iterdir() if names.fullmatch(path.name)):
            with suppress(FileNotFoundError):  # renamed by a rotation since the folder was read
                status = path.lstat()
                if S_ISREG(status.st_mode):
                    found[path] = status
        return found


def claim(path: Path) -> Path:
    """Renames a rotated log out of the rotation's reach."""
    matched = ROTATED.fullmatch(path.name)
    assert matched is not None, path
    status = path.lstat()
    written_at = datetime.fromtimestamp(status.st_mtime, UTC)
    target = path.with_name(f"{matched['log']}.{written_at:%Y%m%dT%H%M%S}-{status.st_ino}.rotated")
    if target.exists() or target.with_suffix(".gz").exists():
        raise RuntimeError(f"{target.name} is there already")  # the same inode twice at one second
    return path.rename(target)


def _identity(status: os.stat_result) -> Identity:
    return status.st_ino, status.st_size, status.st_mtime_ns
