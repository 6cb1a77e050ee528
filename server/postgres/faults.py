"""What an error of PostgreSQL means: one table of codes, one of constraint names.

Nobody else in the product looks at a SQLSTATE, and nobody at an error's text.

    fault             waiting mends it   an outage   the session is of use
    UNREACHABLE       yes                yes         there is none
    CONNECTION_LOST   yes                yes         no
    STARTING          yes                yes         no
    NO_WRITES         yes                yes         no: another server may be the primary now
    NO_ROOM           yes                yes         yes
    NOT_NOW           yes                no          yes
    ROW_LOCKED        yes                no          yes
    STALE_SESSION     in a new session   no          no
    the others        no                 no          yes

A refusal to connect has no SQLSTATE, since libpq passes on its text alone: so "too many
connections", "the system is starting up" and a wrong password are UNREACHABLE alike, and
whoever waits says the text.
"""

import json
import traceback
from enum import Enum
from typing import Any

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
    STARTING = "starting"  # the server starts, stops or recovers; nothing was done
    NO_WRITES = "no writes"  # a standby, or a primary that was one; nothing was done
    NO_ROOM = "no room"  # out of connections, memory or disk, until somebody makes room
    ROW_LOCKED = "row locked"  # somebody else holds it; nothing was done
    NOT_NOW = "not now"  # the server gave it up before it did anything; ask again
    STALE_SESSION = "stale session"  # its prepared statements are out of date; nothing was done
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
    "57P03": Fault.STARTING,  # cannot_connect_now
    "57014": Fault.NOT_NOW,  # query_canceled, by statement_timeout
    "25006": Fault.NO_WRITES,  # read_only_sql_transaction, after a failover
    "40001": Fault.NOT_NOW,  # serialization_failure
    "40P01": Fault.NOT_NOW,  # deadlock_detected
    "55P03": Fault.ROW_LOCKED,  # lock_not_available
    "0A000": Fault.STALE_SESSION,  # feature_not_supported: "cached plan must not change result type"
    "26000": Fault.STALE_SESSION,  # invalid_sql_statement_name: somebody discarded it
}
_BY_CLASS = {
    "08": Fault.CONNECTION_LOST,  # connection exception
    "53": Fault.NO_ROOM,  # insufficient resources; 53300 is too_many_connections
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
    return _BY_CODE.get(code) or _BY_CLASS.get(code[:2], Fault.DEFECT)


_OUTAGES = frozenset(
    {Fault.UNREACHABLE, Fault.CONNECTION_LOST, Fault.STARTING, Fault.NO_WRITES, Fault.NO_ROOM}
)
_TRANSIENT = _OUTAGES | {Fault.NOT_NOW, Fault.ROW_LOCKED}
_ENDS_SESSION = frozenset({Fault.STARTING, Fault.NO_WRITES, Fault.STALE_SESSION})
_CONFLICTS = frozenset({"40001", "40P01"})


def is_transient(error: psycopg.Error) -> bool:
    """Whether the same statement may succeed later without anybody mending anything."""
    return classify(error) in _TRANSIENT


def is_outage(error: psycopg.Error) -> bool:
    """Whether the reason is the server, or the way to it, and no statement of anybody's."""
    return classify(error) in _OUTAGES


def ends_session(error: psycopg.Error) -> bool:
    """Whether the session, though its connection may stand, is of no more use: only another one helps."""
    return classify(error) in _ENDS_SESSION


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
    return classify(error) is Fault.STALE_SESSION


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


def reason_of(error: BaseException) -> str:
    """The first line of an error's text, for a line of the log."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def without_data(error: BaseException) -> dict[str, Any]:
    """An error nobody foresaw, as members of a line of the log: where it arose, and no content of a row.

    PostgreSQL's detail quotes the row that a constraint refused, and with it balances and keys.
    """
    if not isinstance(error, psycopg.Error):
        return {"exc_info": error}
    return {
        "error": error.diag.message_primary or reason_of(error),
        "sqlstate": error.sqlstate,
        "constraint": error.diag.constraint_name,
        "stack": "".join(traceback.format_tb(error.__traceback__)),
    }
