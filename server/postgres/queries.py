"""Turns a SELECT of SQLAlchemy Core into the text that the driver takes.

SQLAlchemy writes the queries that read, over the tables of tables.py; the
connections stay psycopg's own, with their deadlines. Compiling costs about a
millisecond, so callers keep the text and pass the values each time.
"""

from typing import Any

from sqlalchemy import ColumnElement, Select, Text, cast, func, literal_column
from sqlalchemy.dialects.postgresql.psycopg import dialect

_DIALECT = dialect()  # type: ignore[no-untyped-call]
_RFC_3339: ColumnElement[str] = literal_column("""'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'""")


def text_of(query: Select[Any]) -> str:
    """The statement with `%(name)s` for each bindparam(); all values are the caller's to pass."""
    compiled = query.compile(dialect=_DIALECT)
    given = {name: value for name, value in compiled.params.items() if value is not None}
    if given:
        raise ValueError(f"values inside the query would be lost; use literal_column or bindparam: {given}")
    return str(compiled)


def rfc_3339(moment: ColumnElement[Any]) -> ColumnElement[str]:
    """A moment in UTC with microseconds and Z, as it is sent to clients."""
    return func.to_char(func.timezone(literal_column("'UTC'"), moment), _RFC_3339)


def seconds(interval: ColumnElement[Any]) -> ColumnElement[float]:
    """An interval as seconds, with their fraction."""
    return func.date_part(literal_column("'epoch'"), interval)


def json_text(column: ColumnElement[Any]) -> ColumnElement[str]:
    """A JSON column as it stands: numbers of any size and precision survive."""
    return cast(column, Text)
