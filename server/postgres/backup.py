"""A backup: everything in the database at one moment, in a file that is whole or not there.

pg_dump's custom format: compressed, read by pg_restore of the same or a later version. The roles
are not in it, since they belong to the server and not to the database; restore() gives the rights anew.
"""

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psycopg

from server.errors import DatabaseUnavailableError, TransferError
from server.postgres.profile import Profile
from server.postgres.programs import client_program, connection_of
from server.postgres.schema import found_schema
from server.postgres.sessions import TimedConnection

LOCK_WAIT = "60s"
POLL_SECONDS = 0.2
LINES_SHOWN_MAX = 8


@dataclass(frozen=True)
class Backup:
    """What was written."""

    file: Path
    size_bytes: int
    revision: str


@dataclass(frozen=True)
class Source:
    """A database that can be read, and what is known of it."""

    url: str
    revision: str
    server_major: int
    uses_tls: bool


def back_up(url: str, file: Path, progress: Callable[[int], None]) -> Backup:
    """Writes a backup; an older file of that name is replaced once the new one is on the disk.

    url: of the role that owns the tables. progress: told the bytes written so far, now and then.
    Reads one snapshot, while everything goes on. Raises DatabaseUnavailableError, TransferError.
    """
    source = look_at(url)
    with _part_of(file) as part:
        with dumping(source, "--format=custom", f"--file={part}") as process:
            while process.poll() is None:
                progress(part.stat().st_size)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(POLL_SECONDS)
        size_bytes = part.stat().st_size
    return Backup(file, size_bytes, source.revision)


def look_at(url: str) -> Source:
    """Asks a database what it is. Raises DatabaseUnavailableError; TransferError if it is empty."""
    try:
        with TimedConnection.open(Profile(url, "ringfence backup")) as connection:
            refuse_pooler(connection)
            schema = found_schema(connection)
            major = connection.info.server_version // 10_000
            tls = bool(connection.pgconn.ssl_in_use)
    except psycopg.Error as error:
        raise DatabaseUnavailableError(f"the database can't be read: {str(error).strip()}") from None
    if schema is None:
        raise TransferError("the database is empty: there is nothing to take along")
    return Source(url, schema.revision, major, tls)


def refuse_pooler(connection: TimedConnection) -> None:
    """Raises TransferError behind a pooler: what pg_dump's scripts set would stay with its other clients."""
    if connection.is_pooled:
        raise TransferError(
            "there is a pooler before the database, and backups and restores go past it: name PostgreSQL "
            "itself in database.owner_url, or as the target"
        )


@contextmanager
def dumping(source: Source, *options: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Runs pg_dump while the caller reads or waits. Raises TransferError if it fails."""
    program = client_program("pg_dump", server_major=source.server_major, needs_tls=source.uses_tls)
    connection, environment = connection_of(source.url)
    argv = [str(program), connection, "--no-password", f"--lock-wait-timeout={LOCK_WAIT}", *options]
    with tempfile.TemporaryFile() as complaints:
        with subprocess.Popen(
            argv, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=complaints
        ) as process:
            try:
                yield process
            except BaseException:
                process.kill()
                raise
        if process.returncode != 0:
            raise TransferError(f"pg_dump failed:\n{last_lines(complaints)}")


def last_lines(file: IO[bytes]) -> str:
    """The end of what a program complained of, indented, for a message."""
    file.seek(0)
    lines = file.read().decode(errors="replace").strip().splitlines()[-LINES_SHOWN_MAX:]
    return "\n".join(f"  {line}" for line in lines)


@contextmanager
def _part_of(file: Path) -> Iterator[Path]:
    """A file beside the wanted one, for its owner alone, which takes its name in the last step."""
    folder = file.absolute().parent
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{file.name}.", suffix=".part", dir=folder)
    except OSError as error:
        raise TransferError(f"{file}: can't be written: {error.strerror}") from None
    part = Path(name)
    try:
        yield part
        os.fsync(descriptor)
        part.replace(file)
        _sync_folder(folder)
    except OSError as error:
        raise TransferError(f"{file}: can't be written: {error.strerror}") from None
    finally:
        os.close(descriptor)
        part.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Makes the new name last through a power cut, too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
