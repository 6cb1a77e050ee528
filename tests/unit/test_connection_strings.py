"""Connection strings: what is refused, with which words, and that no password is among them."""

import pytest

from server.connection_strings import fault_of, without_password
from server.errors import ConfigurationError
from server.settings import load

TWO_HOSTS = "postgresql://app:secret@one.example:5432,two.example:5433/bank"


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://app:secret@db.example/bank",
        "postgresql://app@/bank?host=%2Frun%2Fpostgresql&port=5433",
        "host=db.example port=5432 dbname=bank",
        TWO_HOSTS + "?target_session_attrs=read-write",
        TWO_HOSTS + "?target_session_attrs=primary",
        "postgresql://app@one.example,two.example:/bank?target_session_attrs=read-write",
        "host=one,two port=5432 target_session_attrs=read-write",
    ],
)
def test_what_libpq_understands_is_taken(text):
    assert fault_of(text) is None


@pytest.mark.parametrize("attributes", ["", "?target_session_attrs=any", "?target_session_attrs=standby"])
def test_several_hosts_without_a_wish_for_one_that_takes_writes_are_refused(attributes):
    fault = fault_of(TWO_HOSTS + attributes)
    assert fault is not None and "target_session_attrs=read-write" in fault


def test_as_many_ports_as_hosts_or_one_are_expected():
    fault = fault_of("host=one,two,three port=1,2 target_session_attrs=read-write")
    assert fault is not None and "3 hosts" in fault


@pytest.mark.parametrize(
    "text", ["db.example", "postgresql://app:50%off@db.example/bank", "password=very secret host=db.example"]
)
def test_what_libpq_does_not_understand_is_refused_without_showing_the_password(text):
    fault = fault_of(text)
    assert fault is not None and fault.startswith("expected a connection string")
    assert "50%off" not in fault and "secret" not in fault


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://app:se:c@ret@db/bank", "postgresql://app:…@db/bank"),
        (TWO_HOSTS, "postgresql://app:…@one.example:5432,two.example:5433/bank"),
        ("postgresql://app@db/bank?password=secret&port=1", "postgresql://app@db/bank?password=…&port=1"),
        (r"host=db password='it\'s secret' port=1", "host=db password=… port=1"),
        ("postgresql://app@db/bank", "postgresql://app@db/bank"),
    ],
)
def test_a_password_is_masked_and_nothing_else_is(text, shown):
    assert without_password(text) == shown


def test_a_wrong_url_is_reported_with_its_key_and_without_its_password(tmp_path):
    (tmp_path / "config.yaml").write_text(
        f"database:\n  url: {TWO_HOSTS}\n  owner_url: [{TWO_HOSTS}]\nhttp:\n  port: many\n"
    )
    with pytest.raises(ConfigurationError) as refused:
        load(str(tmp_path / "config.yaml"), {})
    said = str(refused.value)
    assert "database.url: with several hosts, expected target_session_attrs=read-write" in said
    assert "database.owner_url: " in said and "http.port: " in said
    assert "secret" not in said


def test_several_hosts_may_come_from_the_environment(tmp_path):
    (tmp_path / "config.yaml").write_text("tasks: {}\n")
    url = TWO_HOSTS + "?target_session_attrs=read-write"
    settings = load(str(tmp_path / "config.yaml"), {"RINGFENCE_DATABASE__URL": url})
    assert settings.database.url == url
