"""Before the instances of `ringfence up` start: does another host have their names already?

Each instance finds that out for itself, after it has answered /readyz, and ends; `up` would
say that the service is ready and have nobody left. So whoever starts all of them asks first.
"""

import time
from collections.abc import Callable

import psycopg

from server.errors import RingfenceError
from server.postgres.profile import Profile
from server.postgres.schema import found_schema
from server.postgres.sessions import TimedConnection
from server.postgres.statements import load
from server.postgres.urls import application_url
from server.settings import Settings

ANSWER_SECONDS_MAX = 2.0
POLL_SECONDS = 0.1
# A holder that lives beats at least once in this time, unless the database makes it wait.
BEATS_AWAITED, GRACE_SECONDS = 2, 1.0

Lease = tuple[str, str, int, float]
"""The name, the host of who holds it, its incarnation, and when its lease ends by the database's clock."""


def refuse_held_names(settings: Settings, wait: Callable[[float], object]) -> None:
    """Raises RingfenceError if somebody renews the lease of a name that is to be started here.

    Call it while nothing of this service runs. A lease alone says little: its holder may have
    died a moment ago, and its instance then waits for the rest of it. Only an external database
    can have another host, and one that can't be asked now is waited for by the instances.
    """
    if settings.database.url is None:
        return
    try:
        held = _renewed(settings, wait)
    except psycopg.Error:
        return
    if held:
        names = ", ".join(f"{name} on {host}" for name, host, _, _ in held)
        raise RingfenceError(
            f"These instances run already: {names}. Names are the cluster's, and `ringfence up` starts "
            f"node-1 to node-{settings.cluster.instances}. Start those of this host under other numbers, "
            "such as `ringfence serve --node 7` (docs/scaling.md, Several hosts)."
        )


def _renewed(settings: Settings, wait: Callable[[float], object]) -> list[Lease]:
    profile = Profile(application_url(settings), "ringfence up", call_seconds_max=ANSWER_SECONDS_MAX)
    with TimedConnection.open(profile) as connection:
        if found_schema(connection) is None:
            return []
        first = {lease[:3]: lease for lease in _leases(connection, settings)}
        deadline = time.monotonic() + BEATS_AWAITED * settings.cluster.heartbeat_seconds + GRACE_SECONDS
        while first and time.monotonic() < deadline:
            wait(POLL_SECONDS)
            now = _leases(connection, settings)
            if any(lease[3] > first[lease[:3]][3] for lease in now if lease[:3] in first):
                return now
    return []


def _leases(connection: TimedConnection, settings: Settings) -> list[Lease]:
    names = [f"node-{number}" for number in range(1, settings.cluster.instances + 1)]
    statement = load("server.cluster", "nodes.sql")["leases_of"]
    return [(row[0], row[1], row[2], row[3]) for row in connection.execute(statement, {"names": names})]
