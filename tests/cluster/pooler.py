"""What the tests through a pooler share; they are run by `.ci/with-pgbouncer` (see tests/conftest.py)."""

from contextlib import ExitStack
from dataclasses import dataclass, field

import psycopg
from psycopg import conninfo, sql

SESSIONS = 4
TRANSACTIONS = 40  # enough that each session of the pool serves some of them

# What a pooler tracks itself, and gives each client back with its session.
TRACKED = ("application_name", "client_encoding", "DateStyle", "TimeZone", "standard_conforming_strings")
LOOK = """
select pg_backend_pid(),
       array(select s.name from pg_settings as s where s.source = 'session' and s.name <> all (%s)),
       array(select pg_listening_channels()),
       (select count(*) from pg_prepared_statements),
       (select count(*) from pg_locks as l where l.locktype = 'advisory' and l.pid = pg_backend_pid())
"""


@dataclass
class Remains:
    """What the sessions of the pooler hold that the server itself did not give them."""

    sessions: set[int] = field(default_factory=set)
    settings: set[str] = field(default_factory=set)
    channels: set[str] = field(default_factory=set)
    prepared: int = 0
    locks: int = 0


def several_sessions(database) -> None:
    """Lets the pooler have some sessions, which it then hands out in turn: so none is met twice by chance."""
    with ExitStack() as stack:
        for _ in range(SESSIONS):
            connection = stack.enter_context(_through(database))
            connection.execute("begin")
            connection.execute("select 1")


def remains(database) -> Remains:
    """Looks into each session that the pooler has for the product's role and database."""
    found = Remains()
    with _through(database) as connection:
        for _ in range(TRANSACTIONS):
            pid, settings, channels, prepared, locks = connection.execute(LOOK, [list(TRACKED)]).fetchone()
            found.sessions.add(pid)
            found.settings.update(settings)
            found.channels.update(channels)
            found.prepared += prepared
            found.locks += locks
    return found


def in_session_mode(database, server: str) -> str:
    """A URL that passes the pooler by a role to which it leaves its session (see .ci/with-pgbouncer)."""
    role = "ringfence_sessions"
    with psycopg.connect(server, autocommit=True) as connection:
        if not connection.execute("select 1 from pg_roles where rolname = %s", [role]).fetchone():
            connection.execute(sql.SQL("create role {} login").format(sql.Identifier(role)))
    return conninfo.make_conninfo(database.application_url, user=role)


def as_superuser(database, server: str) -> str:
    """The URL of a superuser, which may migrate, through the pooler."""
    user = conninfo.conninfo_to_dict(server)["user"]
    return conninfo.make_conninfo(database.application_url, user=user)


def _through(database) -> psycopg.Connection:
    return psycopg.connect(database.application_url, autocommit=True, prepare_threshold=None)
