"""Migrations from the command line: which database, and errors as messages."""

import logging
import sys

import psycopg
import structlog

from server.errors import DatabaseUnavailableError, SchemaMismatchError
from server.local_user import local_caller
from server.postgres.embedded import EmbeddedServer
from server.postgres.faults import Fault, classify, is_transient
from server.postgres.profile import Profile
from server.postgres.schema import found_schema, newest_revision
from server.postgres.schema_fit import Fit, Schema, describe, fits
from server.postgres.sessions import TimedConnection
from server.postgres.urls import application_url, has_two_roles, owner_url
from server.settings import Settings


def migrate(settings: Settings) -> str:
    """Migrates to the newest revision; returns a line that says what was done.

    Raises DatabaseUnavailableError, or SchemaMismatchError.
    """
    check_running(settings)
    quiet_log()
    role_url = application_url(settings) if has_two_roles(settings) else None
    with _Connected(settings):
        from server.postgres.migrations import upgrade  # noqa: PLC0415 imports alembic: a third of a second

        done = upgrade(owner_url(settings), role_url, local_caller())
        if done:
            return f"Migrated: {', '.join(done)}"
        found = _found(settings)
    if fits(found, newest_revision()) is Fit.NEWER:
        return _sentence(describe(found, newest_revision()))
    return "The schema is up to date."


def schema_status(settings: Settings) -> tuple[str, bool]:
    """A line on the schema and this version, and whether the service can start as things are.

    Raises DatabaseUnavailableError.
    """
    check_running(settings)
    with _Connected(settings):
        found = _found(settings)
    is_fine = fits(found, newest_revision()) in {Fit.SAME, Fit.NEWER}
    return _sentence(describe(found, newest_revision())), is_fine


def why_unreachable(settings: Settings) -> str | None:
    """A line on why no connection to the database can be made; None if one can."""
    try:
        with _Connected(settings):
            TimedConnection.open(Profile(application_url(settings), "ringfence up")).close()
    except DatabaseUnavailableError as error:
        return str(error)
    return None


def _found(settings: Settings) -> Schema | None:
    with TimedConnection.open(Profile(application_url(settings), "ringfence migrate")) as connection:
        return found_schema(connection)


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def migrate_back(settings: Settings, revision: str) -> str:
    """Migrates back to a revision; returns a line that says so."""
    check_running(settings)
    quiet_log()
    with _Connected(settings):
        from alembic.util import CommandError  # noqa: PLC0415 see above

        from server.postgres.migrations import downgrade  # noqa: PLC0415 see above

        try:
            downgrade(owner_url(settings), revision, local_caller())
        except CommandError as error:
            raise SchemaMismatchError(f"migrate --to {revision}: {error}") from None
    return f"Migrated back to {revision}."


class _Connected:
    """Turns what passes by itself into a message that names the setting, and what to do."""

    def __init__(self, settings: Settings) -> None:
        self.place = (
            "database.owner_url or database.url" if settings.database.url else "the embedded database"
        )

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if not isinstance(error, psycopg.Error) or not is_transient(error):
            return
        if classify(error) is Fault.ROW_LOCKED:
            raise DatabaseUnavailableError(
                "Somebody holds a table that has to be changed, and it is not waited for any longer, since "
                "everybody else waits meanwhile. Nothing has changed: repeat it. Most often the oldest "
                "transaction holds it: select pid, usename, xact_start from pg_stat_activity order by 3"
            ) from None
        what = "can't connect" if classify(error) is Fault.UNREACHABLE else "repeat it"
        raise DatabaseUnavailableError(f"{self.place}: {what}: {str(error).strip()}") from None


def check_running(settings: Settings) -> None:
    """Raises DatabaseUnavailableError, with what to do, if the embedded database is used and does not run."""
    if settings.database.url is None and not EmbeddedServer(settings.var_folder).is_ready():
        raise DatabaseUnavailableError(
            f"The embedded database of {settings.var_folder} does not run: start it by `ringfence db start`."
        )


def quiet_log() -> None:
    """Warnings only, and not among the output: a person reads along here."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
