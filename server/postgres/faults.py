"""What an error of PostgreSQL means: one table of codes, one of constraint names.

Nobody else in the product looks at a SQLSTATE, and nobody at an error's text.
"""

import json
from enum import Enum

import psycopg

BALANCE_NOT_NEGATIVE = "balance_not_negative"
BALANCE_WITHIN_JSON_INTEGERS = "balance_within_json_integers"
ONE_ENTRY_PER_REQUEST = "one_entry_per_request"
ONE_OUTCOME_PER_KEY = "one_outcome_per_key"
ONE_RUNNING_RUN_PER_TASK = "one_running_run_per_task"


class Fault(Enum):
    """What a caller can do about an error."""

    UNREACHABLE = "unreachable"  # no connection was made, so nothing was sent
    CONNECTION_LOST = "connection lost"  # the statement may or may not have taken effect
    ROW_LOCKED = "row locked"  # somebody else holds it; nothing was done
    NOT_NOW = "not now"  # the server refused before it did anything; ask again
    NO_SUCH_USER = "no such user"
    REQUEST_ID_REUSED = "request id reused"
    RUN_LOST = "run lost"
    CONSTRAINT = "constraint"  # see constraint_of()
    DEFECT = "defect"  # ours, or the schema's: nothing that waiting mends


_BY_CODE = {
    "RF404": Fault.NO_SUCH_USER,
    "RF410": Fault.RUN_LOST,
    "RF422": Fault.REQUEST_ID_REUSED,
    "23505": Fault.CONSTRAINT,
    "23514": Fault.CONSTRAINT,
    "57P01": Fault.CONNECTION_LOST,  # admin_shutdown
    "57P02": Fault.CONNECTION_LOST,  # crash_shutdown
    "57P05": Fault.CONNECTION_LOST,  # idle_session_timeout
    "25P03": Fault.CONNECTION_LOST,  # idle_in_transaction_session_timeout
    "25P04": Fault.CONNECTION_LOST,  # transaction_timeout
    "57P03": Fault.NOT_NOW,  # cannot_connect_now
    "57014": Fault.NOT_NOW,  # query_canceled, by statement_timeout
    "25006": Fault.NOT_NOW,  # read_only_sql_transaction, after a failover
    "40001": Fault.NOT_NOW,  # serialization_failure
    "40P01": Fault.NOT_NOW,  # deadlock_detected
    "55P03": Fault.ROW_LOCKED,  # lock_not_available
}


class ConnectFailedError(psycopg.OperationalError):
    """No connection was made."""


def classify(error: psycopg.Error) -> Fault:
    """What kind of fault an error of psycopg is."""
    if isinstance(error, ConnectFailedError):
        return Fault.UNREACHABLE
    code = error.sqlstate
    if code is None:
        # Without a code the server did not speak: libpq lost or never got the connection.
        return Fault.CONNECTION_LOST if isinstance(error, psycopg.OperationalError) else Fault.DEFECT
    if code.startswith("08"):
        return Fault.CONNECTION_LOST
    if code.startswith("53"):
        return Fault.NOT_NOW  # out of connections, memory, disk: until somebody makes room
    return _BY_CODE.get(code, Fault.DEFECT)


_TRANSIENT = frozenset({Fault.UNREACHABLE, Fault.CONNECTION_LOST, Fault.NOT_NOW, Fault.ROW_LOCKED})
_CONFLICTS = frozenset({"40001", "40P01"})


def is_transient(error: psycopg.Error) -> bool:
    """Whether the same statement may succeed later without anybody mending anything."""
    return classify(error) in _TRANSIENT


def is_conflict(error: psycopg.Error) -> bool:
    """Whether another transaction was in the way, and has gone: repeat at once, a few times.

    A serialization failure, a deadlock, or the same request id or key used at this
    very moment; the next look then finds what the other one did.
    """
    if error.sqlstate in _CONFLICTS:
        return True
    return constraint_of(error) in {ONE_ENTRY_PER_REQUEST, ONE_OUTCOME_PER_KEY}


def is_stale_session(error: psycopg.Error) -> bool:
    """Whether the session's prepared statements are out of date: nothing was done, and a new session helps.

    A migration changed what a function returns ("cached plan must not change result
    type"), or somebody discarded the statements.
    """
    return error.sqlstate in {"0A000", "26000"}


def is_about_the_data(error: psycopg.Error) -> bool:
    """Whether one row of many can be the reason: a data exception or a broken constraint."""
    return (error.sqlstate or "")[:2] in {"22", "23"}


def constraint_of(error: psycopg.Error) -> str | None:
    """The name of the constraint that refused, if one did."""
    return error.diag.constraint_name


def balance_of(error: psycopg.Error) -> int:
    """The balance that a money function saw when the constraint refused.

    The function puts it into the error's DETAIL as a JSON object (see
    move_money.sql); minor units.
    """
    return int(json.loads(error.diag.message_detail or "{}").get("balance", 0))
