"""Compresses the rotated logs of this host, and verifies the archives that are there.

The folder is looked at again and again over the time of the run, so that a log which
is rotated meanwhile is compressed too. A look that finds none verifies an archive:
one that can't be read is better known today than on the day it is needed.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

from server.jobs.log_folder import LogFolder
from server.jobs.pace import MINIMUM_SECONDS, STEPS_MIN, Pace

if TYPE_CHECKING:
    from server.cron.context import Context

NAMES_MAX = 50
# What one run reads of archives, decompressed: a second or two of one core.
VERIFIED_BYTES_MAX = 256 * 1024 * 1024


def compress_logs(
    context: Context,
    minimum_seconds: float = MINIMUM_SECONDS,
    folder: str = "log",
    archives_kept: int = 50,
) -> dict[str, Any]:
    """Compresses `*.log.<number>` in `folder`, below context.var.

    archives_kept: how many archives of each log stay; older ones are removed.
    A damaged archive is a result and no failure: it stays where it is, and is named.
    """
    if archives_kept < 1:
        raise ValueError(f"archives_kept must be 1 or more, got {archives_kept}")
    pace = Pace(context, minimum_seconds)
    place = context.var / folder
    logs = LogFolder(place, pace.breathe)
    report = Report(first=context.run_id)
    for look in range(STEPS_MIN):
        taken = logs.take()
        for source in taken:
            done = logs.compress(source)
            report.compressed.append(done.name)
            report.raw_bytes += done.raw_bytes
            report.archive_bytes += done.archive_bytes
        removed = logs.prune(archives_kept) if taken else 0
        report.removed += removed
        if not taken:
            report.verify_next(logs)
        pace.reached(look + 1, STEPS_MIN, report.message())
    return {
        "folder": str(place),
        "liveBytes": logs.live_bytes(),
        "archives": len(logs.archives()),
        "compressed": len(report.compressed),
        "rawBytes": report.raw_bytes,
        "archiveBytes": report.archive_bytes,
        "removed": report.removed,
        "verified": report.verified,
        "damaged": sorted(report.damaged)[:NAMES_MAX],
    }


class Report:
    """What was done so far, and which archives wait for their verification.

    first: where among the archives to begin; the run's id, so that over many runs
        every archive has its turn, also where one run can't read all of them.
    """

    def __init__(self, first: int) -> None:
        self.compressed: list[str] = []
        self.raw_bytes = 0
        self.archive_bytes = 0
        self.removed = 0
        self.verified = 0
        self.damaged: set[str] = set()
        self._next = first
        self._bytes = 0

    def verify_next(self, logs: LogFolder) -> None:
        """Verifies one archive, each in its turn, while the run's limit lasts."""
        archives = logs.archives()
        if not archives or self._bytes >= VERIFIED_BYTES_MAX:
            return
        path = archives[self._next % len(archives)]
        self._next += 1
        try:
            self._bytes += logs.read_archive(path).length_bytes
        except FileNotFoundError:
            return  # removed by somebody since the folder was read
        except (OSError, EOFError, zlib.error) as error:
            self.damaged.add(path.name)
            print(f"{path.name} is damaged: {error}")
        else:
            self.verified += 1

    def message(self) -> str:
        """One line for whoever watches."""
        return f"{len(self.compressed)} compressed, {self.verified} verified, {len(self.damaged)} damaged"
