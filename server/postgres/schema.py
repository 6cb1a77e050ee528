"""Which schema this version of the code needs, and which one the database has.

Apart from the migrations themselves, since every node asks at its start and
importing alembic would cost it a third of a second.
"""

from functools import cache
from typing import Any

import psycopg

from server.errors import SchemaMismatchError
from server.postgres.schema_fit import Fit, Schema, describe, fits, from_remark
from server.postgres.statements import load
from server.shipped import shipped


@cache
def newest_revision() -> str:
    """The revision that this version of the code needs, from the files' names, which sort."""
    versions = shipped("alembic") / "versions"
    return max(path.name.split("_")[0] for path in versions.glob("[0-9]*.py"))


def found_schema(connection: psycopg.Connection[Any]) -> Schema | None:
    """The database's schema; None for an empty database."""
    statements = load("server.postgres", "schema.sql")
    known = connection.execute(statements["has_versions"]).fetchone()
    if known is None or not known[0]:
        return None
    row = connection.execute(statements["current_version"]).fetchone()
    return from_remark(str(row[0]), row[1]) if row else None


def check_fit(found: Schema | None) -> Fit:
    """How the schema and this code fit. Raises SchemaMismatchError, with the command, if it is too new."""
    fit = fits(found, newest_revision())
    if fit is Fit.TOO_NEW:
        raise SchemaMismatchError(describe(found, newest_revision()))
    return fit


def check_known(revision: str) -> None:
    """For what is to be migrated by this version: raises SchemaMismatchError if it is newer."""
    if revision > newest_revision():
        raise SchemaMismatchError(describe(Schema(revision, None), newest_revision()))
