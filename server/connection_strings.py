"""Connection strings as people write them: what is wrong with one, and how it may be shown.

Pure, but for libpq's own parser, which is asked only when there is a string.
"""

import re
from typing import Annotated

from pydantic import AfterValidator

# With several hosts a connection takes the first that answers; these two go on to one that takes writes.
WRITABLE = frozenset({"read-write", "primary"})

_PASSWORD_IN_URL = re.compile(r"(://[^:/?@\s]*:).*@")
_PASSWORD_AS_WORD = re.compile(r"(password\s*=\s*)('(?:[^'\\]|\\.)*'|[^\s&'\"]*)", re.IGNORECASE)
_QUOTED = re.compile(r'"[^"]*"')


def fault_of(text: str) -> str | None:
    """What keeps a connection string from being used; None if nothing does. Never shows a password."""
    from psycopg import Error, conninfo  # noqa: PLC0415 most commands use the embedded database

    try:
        given = conninfo.conninfo_to_dict(text)
    except Error as error:
        # libpq quotes what it could not read, and that may be the password.
        reason = _QUOTED.sub('"…"', str(error).strip())
        return f"expected a connection string such as postgresql://user:password@host:5432/name: {reason}"
    hosts = max(len(_several(given.get("host"))), len(_several(given.get("hostaddr"))))
    ports = len(_several(given.get("port")))
    if ports > 1 and ports != hosts:
        return f"expected one port, or one for each of the {hosts} hosts, and there are {ports}"
    if hosts > 1 and given.get("target_session_attrs") not in WRITABLE:
        return (
            "with several hosts, expected target_session_attrs=read-write beside them: without it a "
            "connection ends at the first that answers, and a standby takes no writes"
        )
    return None


def without_password(text: str) -> str:
    """The string as it may be shown, or written to a log."""
    return _PASSWORD_AS_WORD.sub(r"\1…", _PASSWORD_IN_URL.sub(r"\1…@", text))


def _checked(text: str) -> str:
    fault = fault_of(text)
    if fault is not None:
        raise ValueError(fault)
    return text


def _several(value: object) -> list[str]:
    return str(value).split(",") if value else []


Url = Annotated[str, AfterValidator(_checked)]
"""A setting that is a connection string."""
