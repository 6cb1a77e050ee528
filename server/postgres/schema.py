"""Which schema this version of the code needs, and which one the database has.

Apart from the migrations themselves, since every node asks at its start and
importing alembic would cost it a third of a second.
"""

from functools import cache

import psycopg

from server.errors import SchemaMismatchError
from server.postgres.statements import load
from server.shipped import shipped


@cache
def newest_revision() -> str:
    """The revision that this version of the code needs, from the files' names, which sort."""
    versions = shipped("alembic") / "versions"
    return max(path.name.split("_")[0] for path in versions.glob("[0-9]*.py"))


def current_revision(connection: psycopg.Connection[tuple[object, ...]]) -> str | None:
    """The database's revision; None for an empty database."""
    statements = load("server.postgres", "schema.sql")
    known = connection.execute(statements["has_versions"]).fetchone()
    if known is None or not known[0]:
        return None
    row = connection.execute(statements["current_version"]).fetchone()
    return str(row[0]) if row else None


def check_revision(found: str | None) -> bool:
    """Whether the database's revision is the one that this code needs.

    False: it is older, and `ringfence migrate` brings it up. Raises
    SchemaMismatchError when it is newer than this code.
    """
    if found is not None and found > newest_revision():
        raise SchemaMismatchError(
            f"the database's schema is at revision {found}, newer than this version of ringfence "
            f"({newest_revision()}); install the newer ringfence, or go back with its own "
            f"`ringfence migrate --to {newest_revision()}`"
        )
    return found == newest_revision()
