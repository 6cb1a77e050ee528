"""What goes with a session, and what with each transaction behind a pooler."""

import json

import psycopg
import pytest

from server.postgres.session_settings import EVERY_SESSION, SessionSettings, within_transaction


def begun(settings: SessionSettings, is_pooled: bool, isolation: str = "read committed") -> SessionSettings:
    settings.begun(is_pooled, isolation)
    return settings


def test_a_connection_begins_with_what_every_session_gets_and_its_own_wishes():
    command = SessionSettings({"statement_timeout": "2s"}).begin(4711)
    assert json.loads(command.params["settings"]) == {**EVERY_SESSION, "statement_timeout": "2s"}
    assert command.params["announced_pid"] == 4711


def test_within_a_transaction_it_is_said_otherwise_and_how_it_began_not_at_all():
    said = json.loads(
        within_transaction({**EVERY_SESSION, "default_transaction_read_only": "on", "lock_timeout": "5s"})
    )
    assert said["transaction_read_only"] == "on"
    assert said["lock_timeout"] == "5s"
    assert said["timezone"] == "UTC"
    assert not [key for key in said if key.startswith("default_transaction")]


def test_a_change_is_executed_in_a_session_of_ones_own_and_kept_for_the_next_transaction_behind_a_pooler():
    direct = begun(SessionSettings({"lock_timeout": "1s"}), is_pooled=False)
    command = direct.change({"lock_timeout": "2s"})
    assert command is not None
    assert json.loads(command.params["settings"]) == {"lock_timeout": "2s"}

    pooled = begun(SessionSettings({"lock_timeout": "1s"}), is_pooled=True)
    assert json.loads(pooled.with_transaction().params["settings"])["lock_timeout"] == "1s"
    assert pooled.change({"lock_timeout": "2s"}) is None
    assert json.loads(pooled.with_transaction().params["settings"])["lock_timeout"] == "2s"


def test_behind_a_pooler_another_isolation_is_refused_since_it_can_not_be_sent_along():
    with pytest.raises(psycopg.OperationalError, match="read committed"):
        begun(SessionSettings({}), is_pooled=True, isolation="serializable")
    # A session of one's own has been given it by now.
    begun(SessionSettings({}), is_pooled=False, isolation="serializable")
