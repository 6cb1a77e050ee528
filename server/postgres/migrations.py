"""Brings the schema to what this version needs, and back.

One runner at a time, and all in one transaction: six nodes that start on an
empty database migrate it once, and whoever sees the new revision also has the
rights that belong to it. Beside the revision they keep which older versions of
the code go on working on it (see schema_fit.py).
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import psycopg
import structlog
from alembic import command, op
from alembic.config import Config
from alembic.script import ScriptDirectory
from psycopg import conninfo, sql
from psycopg.rows import tuple_row
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from server.errors import SchemaMismatchError
from server.postgres.faults import reason_of
from server.postgres.profile import Profile
from server.postgres.schema import check_fit, found_schema
from server.postgres.schema_fit import Fit, Schema, fits, remark
from server.postgres.sessions import TimedConnection
from server.postgres.statements import load
from server.shipped import shipped

ADVISORY_LOCK = 7164226370940
LOCK_TIMEOUT = "4s"
STATEMENT_TIMEOUT = "5min"
RECORDED_FROM = "0012"
"""The schema that can record who migrates it."""
CALL_SECONDS_MAX = 330.0  # a statement, or the wait for another one who migrates; then a node asks again
# What the migrations would say that were released before one had to: each of them only adds.
COMPATIBLE_FROM = dict.fromkeys(("0001", "0002", "0003", "0004", "0005", "0006"), "0001")

log = structlog.get_logger(__name__)


def execute_files(*names: str) -> None:
    """Executes files of alembic/sql in the migration that runs, in order."""
    for name in names:
        text = (shipped("alembic") / "sql" / name).read_text(encoding="utf-8")
        # The driver would take a percent sign for a parameter.
        op.get_bind().exec_driver_sql(text.replace("%", "%%"))


def engine(url: str) -> Engine:
    """An engine for migrations; connects with libpq's own reading of the URL."""
    profile = Profile(url, "ringfence migrate", call_seconds_max=CALL_SECONDS_MAX)
    return create_engine(
        "postgresql+psycopg://",
        creator=lambda: TimedConnection.open(profile, autocommit=False, row_factory=tuple_row),
        poolclass=NullPool,
    )


def begin_alone(connection: Connection) -> None:
    """Makes the transaction of `connection` the only one that migrates, until it ends.

    The lock is the transaction's, so that it can't be left behind. It is waited
    for as long as a call may take, since the one who holds it is at work; after that, a
    migration that waits for a table longer than the lock timeout gives up
    rather than queue everybody else behind it. A repeat changes nothing.
    """
    statements = load("server.postgres", "schema.sql")
    connection.exec_driver_sql(statements["lock_migrations"], {"key": ADVISORY_LOCK})
    for name, value in (("lock_timeout", LOCK_TIMEOUT), ("statement_timeout", STATEMENT_TIMEOUT)):
        connection.exec_driver_sql(statements["limit_transaction"], {"name": name, "value": value})


def compatible_from(directory: ScriptDirectory, revision: str) -> str:
    """The oldest code that works on the schema of `revision`: what each migration up to it asks for.

    Raises SchemaMismatchError for a migration that does not say.
    """
    needed = "0001"
    for script in directory.iterate_revisions(revision, "base"):
        said = COMPATIBLE_FROM.get(script.revision) or getattr(script.module, "compatible_from", None)
        if said is None or not "0001" <= said <= script.revision:
            raise SchemaMismatchError(
                f"migration {script.revision} must say by compatible_from which code works on what it "
                f"leaves: from 0001 to {script.revision} (got {said!r})"
            )
        needed = max(needed, said)
    return needed


def keep_remark(connection: Connection, directory: ScriptDirectory) -> None:
    """Remarks beside the revision, after migrations ran, which versions of the code work on it."""
    session = _session(connection)
    found = found_schema(session)
    if found is not None:
        schema = Schema(found.revision, compatible_from(directory, found.revision))
        statement = sql.SQL(load("server.postgres", "schema.sql")["remark"])
        session.execute(statement.format(remark=sql.Literal(remark(schema))))


def upgrade(owner_url: str, application_url: str | None = None, caller: str | None = None) -> list[str]:
    """Migrates to the newest revision and renews the application's rights.

    application_url: given when the application has a role of its own.
    caller: whom the audit record names for it, see local_user.py; None for nobody.
    Returns the revisions that were run, oldest first. Raises SchemaMismatchError, psycopg.Error.
    """
    with _in_our_words(owner_url), engine(owner_url).begin() as connection:
        begin_alone(connection)
        session = _session(connection)
        before = found_schema(session)
        fit = check_fit(before)
        # What is newer stays as it is: this version has no migration for it, nor any need.
        if fit is not Fit.NEWER:
            _run(connection, "upgrade", "head")
        if application_url is not None and application_url != owner_url:
            role = conninfo.conninfo_to_dict(application_url)["user"]
            session.execute(load("server.postgres", "schema.sql")["grant_rights"], {"role": role})
        after = found_schema(session)
        assert after is not None, "a migrated database has a schema"
        ran = [name for name in _revisions() if before is None or name > before.revision]
        if ran and caller is not None:
            _record(session, caller, after.revision, f"from {before.revision}" if before else "made")
    log.info("schema is up to date", revision=after.revision, ran=ran)
    if before is not None and fits(after, before.revision) is Fit.TOO_NEW:
        log.warning(
            "nodes that still run older code can't work on the new schema: restart them now",
            revision=after.revision,
            works_from=after.compatible_from,
            before=before.revision,
        )
    return ran


@contextlib.contextmanager
def _in_our_words(owner_url: str) -> Iterator[None]:
    """Raises the driver's own error, by which everybody here judges what it means, and not SQLAlchemy's.

    A lack of rights, which most often is a lack of database.owner_url, becomes a message.
    """
    try:
        yield
    except (DBAPIError, psycopg.errors.InsufficientPrivilege) as error:
        refusal = error.orig if isinstance(error, DBAPIError) else error
        if refusal is None:
            raise
        if not isinstance(refusal, psycopg.errors.InsufficientPrivilege):
            raise refusal from error
        named = conninfo.conninfo_to_dict(owner_url)
        raise SchemaMismatchError(
            f"the role {named.get('user', '')} may not make the tables in the database "
            f"{named.get('dbname', '')} ({reason_of(refusal)}): name the role that owns the database in "
            "database.owner_url"
        ) from None


def downgrade(owner_url: str, revision: str, caller: str | None = None) -> None:
    """Migrates back to `revision`; "base" leaves nothing. caller and errors: as of upgrade()."""
    with _in_our_words(owner_url), engine(owner_url).begin() as connection:
        begin_alone(connection)
        session = _session(connection)
        found = found_schema(session)
        # Before it, since afterwards there may be no record to write to.
        if caller is not None and found is not None and found.revision >= RECORDED_FROM:
            _record(session, caller, revision, f"back from {found.revision}")
        _run(connection, "downgrade", revision)


def _record(session: psycopg.Connection[Any], caller: str, revision: str, outcome: str) -> None:
    statement = load("server.postgres", "schema.sql")["record_migration"]
    session.execute(statement, {"revision": revision, "outcome": outcome, "caller": caller})


def _run(connection: Connection, direction: str, revision: str) -> None:
    config = alembic_config()
    config.attributes["connection"] = connection
    getattr(command, direction)(config, revision)


def _session(connection: Connection) -> psycopg.Connection[Any]:
    session = connection.connection.driver_connection
    assert isinstance(session, psycopg.Connection), "engine() connects by psycopg"
    return session


def alembic_config() -> Config:
    """Alembic's configuration, wherever the migrations are installed."""
    config = Config()
    config.set_main_option("script_location", str(shipped("alembic")).replace("%", "%%"))
    return config


def _revisions() -> list[str]:
    directory = ScriptDirectory.from_config(alembic_config())
    return sorted(script.revision for script in directory.walk_revisions())
