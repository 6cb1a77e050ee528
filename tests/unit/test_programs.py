"""Which program of PostgreSQL is run, and that nobody sees a password in the list of processes."""

from pathlib import Path

import pytest

from server.errors import TransferError
from server.postgres.binaries import MAJOR_VERSION, binary
from server.postgres.programs import client_program, connection_of


@pytest.mark.parametrize(
    "url", ["postgresql://clerk:secret@one,two/bank", "host=one,two user=clerk password=secret dbname=bank"]
)
def test_a_password_is_in_the_environment_and_no_argument(url):
    argument, environment = connection_of(url)
    assert "secret" not in argument and "host=one,two" in argument and "user=clerk" in argument
    assert environment["PGPASSWORD"] == "secret"


def test_without_a_password_the_one_of_the_environment_counts(monkeypatch):
    monkeypatch.setenv("PGPASSWORD", "from outside")
    assert connection_of("postgresql://clerk@one/bank")[1]["PGPASSWORD"] == "from outside"


@pytest.mark.parametrize("major", [15, MAJOR_VERSION])
def test_the_program_that_comes_along_reads_older_servers_and_its_own(major):
    assert client_program("pg_dump", server_major=major, needs_tls=False) == binary("pg_dump")


@pytest.mark.parametrize(("major", "needs_tls"), [(MAJOR_VERSION + 1, False), (MAJOR_VERSION, True)])
def test_a_newer_server_or_tls_needs_the_program_of_the_system(tmp_path: Path, monkeypatch, major, needs_tls):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TransferError, match=f"install pg_dump of PostgreSQL {major} or later"):
        client_program("pg_dump", server_major=major, needs_tls=needs_tls)
    program = tmp_path / "pg_dump"
    program.write_text(f"#!/bin/sh\necho 'pg_dump (PostgreSQL) {major}.1 (Debian)'\n")
    program.chmod(0o755)
    assert client_program("pg_dump", server_major=major, needs_tls=needs_tls) == program
