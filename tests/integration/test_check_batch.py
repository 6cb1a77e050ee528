"""Calls of post_batch() that no client can have meant are errors, and move nothing."""

from uuid import uuid4

import psycopg
import pytest

ONE, TWO = str(uuid4()), str(uuid4())


@pytest.mark.parametrize(
    "arguments",
    [
        "null, '{1}', '{%(one)s}'",
        "'{1}', null, '{%(one)s}'",
        "'{1}', '{1}', null",
        "'{1,1}', '{1}', '{%(one)s}'",
        "'{1}', '{1,2}', '{%(one)s}'",
        "'{1}', '{1}', '{}'",
        "'{}', '{1}', '{}'",
        "'{1}', '{1}', '{%(one)s}', '{}', '{k}'",
        "'{1}', '{1}', '{%(one)s}', null, '{k,l}'",
        "'[0:0]={1}', '{1}', '{%(one)s}'",
        "'{1}', '[2:2]={1}', '{%(one)s}'",
        "'{{1}}', '{{1}}', '{{%(one)s}}'",
        "'{null}', '{1}', '{%(one)s}'",
        "'{1}', '{null}', '{%(one)s}'",
        "'{1}', '{1}', '{null}'",
        "'{1}', '{0}', '{%(one)s}'",
        "'{1}', '{9007199254740992}', '{%(one)s}'",
        "'{1,1}', '{1,1}', '{%(one)s,%(one)s}'",
        "'{1,1}', '{1,1}', '{%(one)s,%(two)s}', null, '{k,k}'",
        "'{1,1}', '{1,1}', '{%(one)s,%(two)s}', '{c,c}', '{k,k}'",
        "'{1,1}', '{1,1}', '{%(one)s,%(two)s}', '{null,\"\"}', '{k,k}'",
        "'{1}', '{1}', '{%(one)s}', null, '{\"\"}'",
        "'{1}', '{1}', '{%(one)s}', null, array[repeat('k', 256)]",
        "'{1}', '{1}', '{%(one)s}', array[repeat('c', 256)], '{k}'",
        "array_fill(1::bigint, array[100001]), array_fill(1::bigint, array[100001]), '{}'",
    ],
)
def test_a_call_that_breaks_a_rule_is_an_error_and_moves_nothing(database, arguments):
    with database.connect() as connection:
        with pytest.raises(psycopg.errors.InvalidParameterValue):
            connection.execute(f"select * from post_batch({arguments % {'one': ONE, 'two': TWO}})")
        assert connection.execute("select count(*) from entries").fetchone() == (1,)


def test_a_null_skip_locked_waits_as_the_default_does(database):
    call = (
        "select outcome from post_batch(array[1], array[-1], array[gen_random_uuid()], skip_locked => null)"
    )
    with database.connect() as connection:
        assert connection.execute(call).fetchone() == ("posted",)
