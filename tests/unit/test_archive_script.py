"""What pg_dump writes, cut into what a connection can execute."""

import pytest

from server.errors import TransferError
from server.postgres.archive_script import Rows, Statements, pieces

SCRIPT = rb"""\restrict abc
SET statement_timeout = 0;
SET transaction_timeout = 0;
CREATE FUNCTION public.talks() RETURNS text LANGUAGE plpgsql AS $body$
begin
COPY public.users (id) FROM stdin;
SET transaction_timeout = 0;
\not a command
    return $$;$$;
end;
$body$;
COPY public.users (id, balance) FROM stdin;
1	10
2	\N
\.
COPY public.entries (id) FROM stdin;
\.
ALTER TABLE ONLY public.users ALTER COLUMN balance SET (pg_attver=26503904);
ALTER TABLE ONLY public.users ALTER COLUMN balance SET (n_distinct=100);
ALTER TABLE public.users ADD PRIMARY KEY (id);
\unrestrict abc
"""


def cut(script: bytes, server_major: int = 18) -> list[object]:
    found: list[object] = []
    for piece in pieces(script.splitlines(keepends=True), server_major=server_major):
        found.append((piece.table, list(piece.lines)) if isinstance(piece, Rows) else piece.text)
    return found


def test_rows_and_statements_come_in_their_order():
    found = cut(SCRIPT)
    assert [one if isinstance(one, tuple) else "statements" for one in found] == [
        "statements",
        ("users", [b"1\t10\n", b"2\t\\N\n"]),
        "statements",
        ("entries", []),
        "statements",
    ]
    assert b"ADD PRIMARY KEY" in found[-1]


def test_the_body_of_a_function_is_left_as_it_is():
    body = SCRIPT.partition(b"CREATE")[2].partition(b"$body$;\n")[0]
    assert body in cut(SCRIPT)[0]


def test_commands_of_psql_are_left_out():
    assert not any(b"restrict" in one for one in cut(SCRIPT) if isinstance(one, bytes))


@pytest.mark.parametrize(("server_major", "times"), [(15, 1), (16, 1), (17, 2), (18, 2)])
def test_a_setting_that_the_server_does_not_know_is_left_out(server_major, times):
    assert cut(SCRIPT, server_major)[0].count(b"SET transaction_timeout") == times


def test_a_script_that_ends_among_rows_is_no_script():
    with pytest.raises(TransferError, match="in the middle"):
        cut(SCRIPT.partition(b"2\t")[0])


def test_an_empty_script_is_no_statement():
    assert [type(piece) for piece in pieces([], server_major=18)] == [Statements]


def test_the_servers_own_numbers_of_columns_are_left_out_and_a_persons_options_stay():
    assert b"pg_attver" not in cut(SCRIPT)[-1]
    assert b"SET (n_distinct=100)" in cut(SCRIPT)[-1]
