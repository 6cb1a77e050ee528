"""What an error of the database means: what waiting mends, what is an outage, what ends a session."""

import psycopg
import pytest
from psycopg.errors import lookup

from server.postgres.faults import (
    ConnectFailedError,
    Fault,
    classify,
    ends_session,
    is_outage,
    is_transient,
    reason_of,
)


def error_of(code: str) -> psycopg.Error:
    return lookup(code)("said the server")


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("08006", Fault.CONNECTION_LOST),  # connection_failure
        ("08P01", Fault.CONNECTION_LOST),  # protocol_violation
        ("57P01", Fault.CONNECTION_LOST),  # admin_shutdown
        ("57P02", Fault.CONNECTION_LOST),  # crash_shutdown
        ("57P03", Fault.STARTING),  # cannot_connect_now
        ("25006", Fault.NO_WRITES),  # read_only_sql_transaction
        ("53300", Fault.NO_ROOM),  # too_many_connections
        ("53100", Fault.NO_ROOM),  # disk_full
    ],
)
def test_an_outage_is_transient_and_no_statements_fault(code, fault):
    error = error_of(code)
    assert classify(error) is fault
    assert is_outage(error)
    assert is_transient(error)


@pytest.mark.parametrize("code", ["40001", "40P01", "55P03", "57014"])
def test_what_others_did_is_transient_and_no_outage(code):
    error = error_of(code)
    assert is_transient(error)
    assert not is_outage(error)
    assert not ends_session(error)


@pytest.mark.parametrize(
    "code", ["23505", "23514", "22023", "42P01", "42883", "28P01", "3D000", "42501", "XX000"]
)
def test_a_real_error_is_neither(code):
    error = error_of(code)
    assert not is_transient(error)
    assert not is_outage(error)
    assert not ends_session(error)


@pytest.mark.parametrize("code", ["25006", "57P03", "0A000", "26000"])
def test_a_session_that_is_of_no_more_use_is_ended(code):
    assert ends_session(error_of(code))


def test_an_error_without_a_code_is_a_lost_connection_unless_none_was_made():
    assert classify(psycopg.OperationalError("server closed the connection")) is Fault.CONNECTION_LOST
    assert classify(ConnectFailedError("connection refused")) is Fault.UNREACHABLE
    assert classify(psycopg.ProgrammingError("too many parameters")) is Fault.DEFECT


def test_a_reason_is_one_line():
    assert (
        reason_of(psycopg.OperationalError("\nconnection failed\nIs the server running?"))
        == "connection failed"
    )
    assert reason_of(TimeoutError()) == "TimeoutError"
