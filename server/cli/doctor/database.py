"""The checks of the database: version, rights, schema, clock, connections."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg

from server.cli.doctor.finding import Finding, fault, ok, warning
from server.errors import RingfenceError
from server.postgres.embedded import EmbeddedServer
from server.postgres.profile import Profile
from server.postgres.schema import found_schema, newest_revision
from server.postgres.schema_fit import Fit, describe, fits
from server.postgres.sessions import TimedConnection
from server.postgres.statements import load
from server.postgres.tables import metadata
from server.postgres.urls import application_url, has_two_roles, owner_url
from server.settings import Settings

VERSION_NUMBER_MIN = 150_000
STATEMENT_TIMEOUT = "5s"
# Two readings of the clock so far apart tell whether it runs, and whether it runs as ours does.
CLOCK_WATCH_SECONDS = 0.5
# No lease depends on it, but the times in logs and answers do.
CLOCK_OFFSET_SECONDS_MAX = 1.0
# Besides `database.connections` a node has three (config.yaml), and another node may join by hand.
CONNECTIONS_BESIDES = 3
QUEUE_USAGE_MAX = 0.5

Connection = psycopg.Connection[Any]


def check_database(settings: Settings) -> Iterator[Finding]:
    """All that can be asked of the database with the settings."""
    embedded = EmbeddedServer(settings.var_folder) if settings.database.url is None else None
    if embedded is not None and not embedded.is_ready():
        yield warning(
            "database",
            "the embedded database does not run, so nothing was asked of it",
            "start it by `ringfence db start` or `ringfence up`, and ask again",
        )
        return
    setting = "database.url" if embedded is None else "the embedded database"
    try:
        with _connect(application_url(settings)) as connection:
            yield from _examine(connection, settings)
    except psycopg.Error as error:
        yield fault(
            "database", f"{setting}: {_first_line(error)}", "see that it runs, and that this role may connect"
        )
        return
    if settings.database.owner_url is not None:
        yield from _check_owner(settings)


def _connect(url: str) -> Connection:
    return TimedConnection.open(
        Profile(url, "ringfence doctor", settings={"statement_timeout": STATEMENT_TIMEOUT})
    )


def _examine(connection: Connection, settings: Settings) -> Iterator[Finding]:
    server = _row(connection, "server")
    yield _check_version(server)
    yield _check_writes(server)
    yield from _check_durability(connection)
    schema = _check_schema(connection, settings)
    yield schema
    if schema.level == "ok":
        yield from _check_rights(connection, settings, server)
    yield from _check_clock(connection, settings)
    yield _check_connections(connection, settings)
    yield _check_queue(connection)


def _check_version(server: Any) -> Finding:
    if server.version_number < VERSION_NUMBER_MIN:
        return fault(
            "database version",
            f"PostgreSQL {server.version} is too old",
            f"use PostgreSQL {VERSION_NUMBER_MIN // 10_000} or later",
        )
    return ok("database version", f"PostgreSQL {server.version}")


def _check_writes(server: Any) -> Finding:
    if server.is_standby or server.is_read_only:
        what = "a standby" if server.is_standby else "read-only by default"
        return fault(
            "database writes",
            f"this server is {what}",
            "name the primary in database.url, or all of them with target_session_attrs=read-write",
        )
    return ok("database writes", "it takes writes")


def _check_durability(connection: Connection) -> Iterator[Finding]:
    switched_off = [row.name for row in _rows(connection, "durability")]
    if switched_off:
        yield fault(
            "durability",
            f"{', '.join(switched_off)} off: a crash may lose movements that were answered with success",
            "set to on in the server's configuration",
        )
    else:
        yield ok("durability", "what was committed survives a crash")


def _check_schema(connection: Connection, settings: Settings) -> Finding:
    found = found_schema(connection)
    said = describe(found, newest_revision())
    match fits(found, newest_revision()):
        case Fit.SAME | Fit.NEWER:
            return ok("schema", said)
        case Fit.OLDER if settings.database.migrate:
            return warning("schema", said, "the next `ringfence up` does it, too")
        case Fit.OLDER:
            return fault("schema", said, "`ringfence migrate`: database.migrate is off, so no start does it")
        case Fit.TOO_NEW:
            return fault("schema", said, "no node of this version starts on it")


def _check_rights(connection: Connection, settings: Settings, server: Any) -> Iterator[Finding]:
    names = {"tables": list(metadata.tables)}
    missing = [row.name for row in _rows(connection, "unreadable_tables", names)]
    forbidden = [row.name for row in _rows(connection, "forbidden_functions")]
    writable = [row.name for row in _rows(connection, "writable_tables", names)]
    renew = "`ringfence migrate` gives the role its rights again (database.owner_url names the owner)"
    if missing:
        yield fault("role rights", f"{server.role} can't read {', '.join(missing)}", renew)
    if forbidden:
        yield fault("role rights", f"{server.role} can't execute {', '.join(forbidden)}", renew)
    if writable and has_two_roles(settings):
        reason = "is a superuser" if server.is_superuser else f"may write {', '.join(writable)} directly"
        yield fault("role rights", f"{server.role} {reason}", f"name another role in database.url; {renew}")
    elif writable and not settings.database.one_role:
        yield warning(
            "role rights",
            f"{server.role} owns the tables, and only constraints protect them from the service itself",
            "name the owner in database.owner_url and another role in database.url, or set database.one_role",
        )
    elif not missing and not forbidden:
        yield ok(
            "role rights",
            f"{server.role} executes the functions"
            + (" and owns the tables (database.one_role)" if writable else " and writes no table directly"),
        )


@dataclass(frozen=True)
class Reading:
    """One look at the database's clock; all in seconds. here: ours that never steps; wall: ours that may."""

    database: float
    here: float
    wall: float


def _check_clock(connection: Connection, settings: Settings) -> Iterator[Finding]:
    first = _read_clock(connection)
    time.sleep(CLOCK_WATCH_SECONDS)
    return judge_clock(first, _read_clock(connection), settings.cluster.margin_seconds)


def judge_clock(first: Reading, second: Reading, margin_seconds: float) -> Iterator[Finding]:
    """Whether the database's clock runs as ours does, and shows what ours shows. Pure."""
    moved, passed = second.database - first.database, second.here - first.here
    if abs(moved - passed) > min(margin_seconds, passed) / 2:
        yield fault(
            "database clock",
            f"it moved {moved:.3f} s while {passed:.3f} s passed here",
            "look at its host's clock: while it is stepped or stands, no dead node's runs are taken over",
        )
    else:
        yield ok("database clock", "it runs as the one here does")
    offset = second.database - second.wall
    if abs(offset) > CLOCK_OFFSET_SECONDS_MAX:
        yield warning(
            "clock offset",
            f"it is {abs(offset):.1f} s {'ahead of' if offset > 0 else 'behind'} this host's clock",
            "let NTP keep both; leases don't depend on it, but times in logs and answers differ",
        )
    else:
        yield ok("clock offset", f"{abs(offset):.2f} s from this host's clock")


def _read_clock(connection: Connection) -> Reading:
    began, wall = time.monotonic(), time.time()  # noqa: TID251 what is compared is the wall clock
    at = _row(connection, "clock").at.timestamp()
    half = (time.monotonic() - began) / 2
    return Reading(at, began + half, wall + half)


def _check_connections(connection: Connection, settings: Settings) -> Finding:
    row = _row(connection, "connections")
    each = settings.database.connections + CONNECTIONS_BESIDES
    needed = settings.cluster.instances * each
    others = row.used - row.ours
    said = f"{row.allowed} allowed, {others} used by others; {settings.cluster.instances} nodes need {needed}"
    if others + needed > row.allowed:
        return fault("connections", said, "raise max_connections of the server, or lower cluster.instances")
    return ok("connections", said)


def _check_queue(connection: Connection) -> Finding:
    usage = _row(connection, "notification_queue").usage
    said = f"the queue of NOTIFY is {100 * usage:.0f} % full"
    if usage > QUEUE_USAGE_MAX:
        return warning(
            "notifications", said, "end the transaction of the listener that keeps it from being cleaned"
        )
    return ok("notifications", said)


def _check_owner(settings: Settings) -> Iterator[Finding]:
    try:
        with _connect(owner_url(settings)) as connection:
            yield ok("owner", f"database.owner_url connects as {_row(connection, 'server').role}")
    except (psycopg.Error, RingfenceError) as error:
        yield fault("owner", f"database.owner_url: {_first_line(error)}", "migrations need it; correct it")


def _rows(connection: Connection, name: str, values: dict[str, Any] | None = None) -> list[Any]:
    return connection.execute(load("server.cli.doctor", "checks.sql")[name], values or {}).fetchall()


def _row(connection: Connection, name: str) -> Any:
    (row,) = _rows(connection, name)
    return row


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
