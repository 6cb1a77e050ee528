"""Rows that are written all the time stay in their page: no index grows with them (HOT updates)."""

from collections.abc import Callable

import psycopg

WRITES = 300


def writes_in_place(database, table: str, write: Callable[["psycopg.Connection"], object]) -> tuple[int, int]:
    """How many updates of a table there were, and how many touched no index."""
    with database.connect() as connection:
        for _ in range(WRITES):
            write(connection)
        connection.execute("select pg_stat_force_next_flush()")
        connection.execute("select 1")
    with database.connect() as reader:
        return reader.execute(
            "select n_tup_upd, n_tup_hot_upd from pg_stat_user_tables where relname = %s", [table]
        ).fetchone()


def test_a_hot_balance_touches_no_index(database):
    updates, in_place = writes_in_place(
        database, "users", lambda connection: connection.execute("select withdraw(1, 1)")
    )
    assert updates == WRITES
    assert in_place >= 0.98 * WRITES


def test_a_heartbeat_touches_no_index(database):
    with database.connect() as connection:
        ((incarnation,),) = connection.execute(
            "select incarnation from register_node('node-1', 'host', 1, 'url', 'version', '{}', '15s',"
            " 'boot', '/lock', 1, 1)"
        ).fetchall()
    updates, in_place = writes_in_place(
        database,
        "nodes",
        lambda connection: connection.execute("select heartbeat('node-1', %s)", [incarnation]),
    )
    assert updates == WRITES
    assert in_place >= 0.98 * WRITES
