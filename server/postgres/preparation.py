"""Waits for the database and brings its schema up, before a node serves."""

import threading
from collections.abc import Callable

import psycopg
import structlog

from server.errors import SchemaMismatchError
from server.local_user import local_caller
from server.postgres.back_off import BackOff
from server.postgres.faults import is_transient, reason_of
from server.postgres.profile import Profile
from server.postgres.schema import check_fit, found_schema, newest_revision
from server.postgres.schema_fit import Fit, Schema, describe
from server.postgres.sessions import TimedConnection
from server.postgres.urls import application_url, has_two_roles, owner_url
from server.settings import Settings

PAUSE_SECONDS_MAX = 1.0

log = structlog.get_logger(__name__)


def prepare_schema(settings: Settings, is_stopping: Callable[[], bool]) -> None:
    """Returns when the schema is the one that this code needs, or the node stops.

    Blocks, and waits as long as the database is away; call it in a thread.
    Raises SchemaMismatchError where waiting won't mend it.
    """
    _warn_of_one_role(settings)
    profile = Profile(application_url(settings), "ringfence start", part="start")
    back_off = BackOff(PAUSE_SECONDS_MAX)
    is_told = False
    while not is_stopping():
        try:
            with TimedConnection.open(profile) as connection:
                found = found_schema(connection)
            fit = check_fit(found)
            if fit is Fit.NEWER:
                log.warning(describe(found, newest_revision()))
            if fit is not Fit.OLDER:
                return
            _migrate(settings, found)
        except psycopg.Error as error:
            if not is_transient(error):
                raise SchemaMismatchError(f"the database refuses: {error}") from error
            if not is_told:
                is_told = True
                log.info("waiting for the database", error=reason_of(error))
        else:
            continue
        threading.Event().wait(back_off.pause())


def _warn_of_one_role(settings: Settings) -> None:
    if has_two_roles(settings):
        return
    advice = (
        "database.one_role says that it has to be so"
        if settings.database.one_role
        else "name the owner of the tables in database.owner_url and another role in database.url, "
        "or set database.one_role if there can be no second one"
    )
    log.warning("the service's own role may write the tables directly", advice=advice)


def _migrate(settings: Settings, found: Schema | None) -> None:
    if not settings.database.migrate:
        raise SchemaMismatchError(f"{describe(found, newest_revision())} (database.migrate is off)")
    from server.postgres.migrations import upgrade  # noqa: PLC0415 imports alembic, which most starts don't need

    role_url = application_url(settings) if has_two_roles(settings) else None
    upgrade(owner_url(settings), role_url, local_caller())
