"""The money functions as the application calls them, with outcomes as the model gives them."""

from collections.abc import Sequence
from uuid import UUID

import psycopg
from unit.ledger_model import Outcome, Wanted

from server.postgres.faults import balance_of, constraint_of

POST_BATCH = """
select outcome, balance, entry_id, replayed, request_id
  from post_batch(%s::bigint[], %s::bigint[], %s::uuid[], %s::text[], %s::text[], %s) order by "position"
"""
POST_LIST = """
select outcome, balance, entry_id, replayed, request_id
  from post_list(%s::bigint[], %s::bigint[], %s::uuid[], '', %s, %s) order by "position"
"""
_REFUSALS = {"balance_not_negative": "insufficient_funds", "balance_within_json_integers": "balance_limit"}
_CODES = {"RF404": "user_not_found", "RF422": "request_id_reused"}


def post_batch(connection, wanted: Sequence[Wanted], *, skip_locked: bool = False) -> list[Outcome]:
    keyed = any(one.key is not None for one in wanted)
    params = [
        [one.user_id for one in wanted],
        [one.amount for one in wanted],
        [one.request_id for one in wanted],
        [one.client for one in wanted] if keyed else None,
        [one.key for one in wanted] if keyed else None,
        skip_locked,
    ]
    return [Outcome(*row) for row in connection.execute(POST_BATCH, params)]


def post_list(connection, wanted: Sequence[Wanted], key: str | None, fingerprint: UUID) -> list[Outcome]:
    params = [
        [one.user_id for one in wanted],
        [one.amount for one in wanted],
        [one.request_id for one in wanted],
        key,
        fingerprint,
    ]
    return [Outcome(*row) for row in connection.execute(POST_LIST, params)]


def post_alone(connection, wanted: Wanted) -> Outcome:
    """By withdraw() or deposit(), which don't tell whether they replay: False."""
    operation = "withdraw" if wanted.amount < 0 else "deposit"
    params = [wanted.user_id, abs(wanted.amount), wanted.request_id]
    try:
        row = connection.execute(f"select * from {operation}(%s, %s, %s)", params).fetchone()
    except psycopg.errors.CheckViolation as error:
        return Outcome(_REFUSALS[constraint_of(error)], balance_of(error), None, False, wanted.request_id)
    except psycopg.Error as error:
        return Outcome(_CODES[error.sqlstate], None, None, False, wanted.request_id)
    return Outcome("posted", *row, False, wanted.request_id)


def open_accounts(connection, balances: Sequence[int]) -> list[int]:
    query = "select open_account(b) from unnest(%s::bigint[]) with ordinality as o (b, n) order by n"
    return [user_id for (user_id,) in connection.execute(query, [list(balances)])]


def balances_of(connection, user_ids: Sequence[int]) -> dict[int, int]:
    query = "select id, balance from users where id = any(%s)"
    return dict(connection.execute(query, [list(user_ids)]).fetchall())


def history_of(connection, user_id: int) -> list[tuple[int, int]]:
    """(amount, balance after it) of each entry, oldest first."""
    query = "select amount, balance_after from entries where user_id = %s order by id"
    return connection.execute(query, [user_id]).fetchall()


def until_somebody_waits(database) -> None:
    """Returns when a session of this database waits for a lock."""
    query = """
        select count(*) from pg_stat_activity
        where wait_event_type = 'Lock' and datname = current_database()
    """
    # As the application's role: others may not see what its sessions wait for.
    with database.connect() as watcher:
        while watcher.execute(query).fetchone()[0] == 0:
            pass
