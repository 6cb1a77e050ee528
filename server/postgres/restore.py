"""Fills an empty database: from a backup, or from another database while it is read.

One transaction, so all or nothing; and under the lock of the migrations, so that nodes which wait
for their schema meanwhile find the whole. Owner and rights are not those of the backup: the role
that connects owns what it makes, and the application's role gets its rights as from a migration.
"""

import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import conninfo, sql
from psycopg.rows import tuple_row

from server.errors import DatabaseUnavailableError, TransferError
from server.postgres.archive_script import Rows, pieces
from server.postgres.backup import Source, dumping, last_lines, refuse_pooler
from server.postgres.binaries import binary
from server.postgres.faults import is_transient
from server.postgres.migrations import ADVISORY_LOCK, upgrade
from server.postgres.profile import Profile
from server.postgres.schema import check_known
from server.postgres.sessions import TimedConnection
from server.postgres.statements import load

CHUNK_BYTES = 256 * 1024
# An index over all entries that anybody has ever made, say.
CALL_SECONDS_MAX = 6 * 3600.0
NAMED_MAX = 5
STATEMENTS = load("server.postgres", "backup.sql")
# The tables' owner is whoever restores; rights are given anew, by the schema's own function.
OPTIONS = ("--no-owner", "--no-privileges")

Connection = psycopg.Connection[tuple[Any, ...]]


@dataclass(frozen=True)
class Target:
    """Where to: the URL of the role that is to own the tables, and the role of the service."""

    url: str
    application_role: str | None


def restore(file: Path, target: Target, progress: Callable[[str], None]) -> None:
    """Fills the target from a backup, and brings its schema to what this version needs.

    progress: told the name of each table whose rows come next. Raises TransferError if
    the target is not empty or the file is no backup, SchemaMismatchError if a newer version made it,
    DatabaseUnavailableError; then the target is as it was.
    """
    check_known(revision_of(file))
    _fill(target, _reading(file, *OPTIONS), progress)
    _finish(target)


def copy(source: Source, target: Target, progress: Callable[[str], None]) -> None:
    """The same straight from another database, as it is at this moment."""
    check_known(source.revision)
    _fill(target, _dumped(source), progress)
    _finish(target)


def revision_of(file: Path) -> str:
    """The schema's revision in a backup. Raises TransferError if the file is none."""
    if not file.is_file():
        raise TransferError(f"{file}: there is no such file")
    with _reading(file, "--data-only", "--table=alembic_version") as lines:
        for piece in pieces(lines, server_major=0):
            if isinstance(piece, Rows):
                return b"".join(piece.lines).decode().strip()
    raise TransferError(f"{file}: it holds another database than one of ringfence")


def counts(url: str) -> dict[str, int]:
    """How many rows each table has."""
    with connected(url) as connection:
        tables = [str(name) for (name,) in connection.execute(STATEMENTS["tables"]).fetchall()]
        return {table: _count(connection, table) for table in tables}


def others(url: str) -> dict[str, int]:
    """Who else is connected: application name -> sessions."""
    with connected(url) as connection:
        return {str(name): int(sessions) for name, sessions in connection.execute(STATEMENTS["others"])}


@contextmanager
def connected(url: str) -> Iterator[Connection]:
    """A connection whose statements may take long, committed at the end.

    Raises DatabaseUnavailableError; TransferError for what the database refuses.
    """
    try:
        profile = Profile(
            url,
            "ringfence restore",
            call_seconds_max=CALL_SECONDS_MAX,
            settings={"statement_timeout": "0", "lock_timeout": "30s"},
        )
        with TimedConnection.open(
            profile, autocommit=False, row_factory=tuple_row, prepare_threshold=None
        ) as connection:
            refuse_pooler(connection)
            yield connection
    except psycopg.Error as error:
        if is_transient(error):
            raise DatabaseUnavailableError(f"the database fails: {str(error).strip()}") from error
        raise TransferError(f"the database refuses: {str(error).strip()}") from error


def _fill(
    target: Target, script: AbstractContextManager[Iterable[bytes]], progress: Callable[[str], None]
) -> None:
    with connected(target.url) as connection:
        connection.execute(STATEMENTS["hold_migrations"], {"key": ADVISORY_LOCK})
        _check_empty(connection)
        _ensure_role(connection, target.application_role)
        major = connection.info.server_version // 10_000
        # It ends, and fails, before the connection commits: half a script is none.
        with script as lines:
            for piece in pieces(lines, server_major=major):
                if isinstance(piece, Rows):
                    progress(piece.table)
                    _copy_rows(connection, piece)
                else:
                    connection.execute(piece.text)


def _finish(target: Target) -> None:
    """Migrates what is older, gives the rights, and counts for the planner."""
    role = target.application_role
    with connected(target.url) as connection:
        (owner,) = connection.execute(STATEMENTS["current_role"]).fetchone() or ("",)
    upgrade(target.url, None if role in {None, owner} else conninfo.make_conninfo(target.url, user=role))
    with connected(target.url) as connection:
        connection.execute(STATEMENTS["analyze"])


def _check_empty(connection: Connection) -> None:
    found = [str(name) for (name,) in connection.execute(STATEMENTS["what_is_there"]).fetchall()]
    if not found:
        return
    named = ", ".join(found[:NAMED_MAX]) + (", …" if len(found) > NAMED_MAX else "")
    raise TransferError(
        f"the database {connection.info.dbname} is not empty ({len(found)} things: {named}), and only an "
        f"empty one is filled. Make another one, or remove what is there."
    )


def _ensure_role(connection: Connection, role: str | None) -> None:
    if role is None or (connection.execute(STATEMENTS["has_role"], {"role": role}).fetchone() or (False,))[0]:
        return
    statement = sql.SQL(STATEMENTS["make_role"]).format(role=sql.Identifier(role))
    try:
        connection.execute(statement)
    except psycopg.errors.InsufficientPrivilege:
        raise TransferError(
            f"there is no role {role} for the service, and this one may not make it. As a superuser: "
            f"{statement.as_string(connection)} password '…'"
        ) from None


def _copy_rows(connection: Connection, rows: Rows) -> None:
    with connection.cursor() as cursor, cursor.copy(rows.statement) as writer:
        chunk: list[bytes] = []
        size_bytes = 0
        for line in rows.lines:
            chunk.append(line)
            size_bytes += len(line)
            if size_bytes >= CHUNK_BYTES:
                writer.write(b"".join(chunk))
                chunk.clear()
                size_bytes = 0
        writer.write(b"".join(chunk))


def _count(connection: Connection, table: str) -> int:
    statement = sql.SQL(STATEMENTS["count_rows"]).format(table=sql.Identifier("public", table))
    row = connection.execute(statement).fetchone()
    assert row is not None, "an aggregate returns a row"
    return int(row[0])


@contextmanager
def _dumped(source: Source) -> Iterator[Iterable[bytes]]:
    """The script of another database, while it is read. Raises TransferError."""
    with dumping(source, "--format=plain", *OPTIONS) as process:
        assert process.stdout is not None, "dumping() opens it"
        yield process.stdout


@contextmanager
def _reading(file: Path, *options: str) -> Iterator[Iterable[bytes]]:
    """The script of a backup, line by line. Raises TransferError if it can't be read to its end."""
    argv = [str(binary("pg_restore")), *options, "--file=-", str(file)]
    with tempfile.TemporaryFile() as complaints:
        with subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=complaints
        ) as process:
            assert process.stdout is not None, "it was asked for"
            try:
                yield process.stdout
            except BaseException:
                process.kill()
                raise
            # Whoever stopped before the end has what it wanted.
            read_to_end = process.stdout.read(1) == b""
            if not read_to_end:
                process.kill()
        if read_to_end and process.returncode != 0:
            raise TransferError(f"{file}: is no backup that can be read:\n{last_lines(complaints)}")
