"""An hour's heartbeats of six nodes while somebody holds an old snapshot: the growth is bounded, and ends with it.

PostgreSQL can remove no version of a row that an open transaction might still see. So
each heartbeat of that time costs the size of a row, wherever the rows lie; what is
promised is that it costs no more, that indexes hardly grow with it, and that what
follows goes into the room that was made.

A transaction of any other database of the server is such a one from when it has written,
since each of our snapshots reaches back to it. Where the server is shared with others, the
beats that met one are counted, and each may cost a row.
"""

from typing import NamedTuple

import psycopg

NODES = 6
BEATS = 3_600
ROW_BYTES_MAX = 500
"""Of one version of a row with ten tasks, with its header and its share of a page: some 450."""


# In the order in which they come, each a transaction of its own. In one session: the beats of an
# hour don't overlap, and in a few seconds those of several sessions would hold each other's snapshots.
# A beat is held up if the version of the row that the beat before it left behind may not be removed yet.
def beats_of(beats: int) -> str:
    """So many of each node."""
    return f"""
do $$
declare
    beat record;
    before xid8 := '0';
    held bigint := 0;
    names text[] := array(select n.name from nodes as n order by n.name);
    incarnations bigint[] := array(select n.incarnation from nodes as n order by n.name);
begin
    for n in 1..{beats} loop
        for place in 1..{NODES} loop
            held := held + (pg_snapshot_xmin(pg_current_snapshot()) <= before)::integer;
            select * into beat from heartbeat(names[place], incarnations[place]);
            assert beat.renewed, 'the lease was not renewed';
            before := pg_current_xact_id();
            commit;
        end loop;
    end loop;
    perform set_config('ringfence_test.held', held::text, false);
end
$$
"""


class Size(NamedTuple):
    """Of `nodes`: bytes of the table and of its index, updates, those that touched no index, dead rows."""

    table: int
    index: int
    updates: int
    in_place: int
    dead: int


class Growth(NamedTuple):
    """What an hour added to it. held_up: beats that could not use the room of the version before."""

    size: Size
    held_up: int


def size(database) -> Size:
    with database.connect() as connection:
        return Size(
            *connection.execute(
                """select pg_relation_size('nodes'), pg_relation_size('nodes_pkey'), n_tup_upd, n_tup_hot_upd,
                          n_dead_tup
                     from pg_stat_user_tables where relname = 'nodes'"""
            ).fetchone()
        )


def join(database) -> None:
    with database.connect() as connection:
        for name in (f"node-{n}" for n in range(NODES)):
            connection.execute(
                """select incarnation from register_node(%s, 'host', 1, 'http://127.0.0.1:8001', '0.1.0',
                       array(select 'a_task_of_ten_' || n from generate_series(1, 10) as n), '1 hour',
                       '3f0c1a1e-5d0b-4a45-9d0e-0f6f2b1a7c55', '/srv/ringfence/var/run/locks/' || %s, 1, 1)""",
                [name, name],
            )


def beat(database, beats: int = BEATS) -> Growth:
    """All nodes, as fast as the server can; what it did to the table."""
    before = size(database)
    with database.connect() as connection:
        connection.execute("set synchronous_commit = off")  # as the heartbeat's connection does
        connection.execute(beats_of(beats))
        (held_up,) = connection.execute("select current_setting('ringfence_test.held')::bigint").fetchone()
        for _ in range(2):
            connection.execute("select pg_stat_force_next_flush()")
    after = size(database)
    grown = Size(*(new - old for new, old in zip(after, before, strict=True)))
    assert grown.updates == NODES * beats
    return Growth(grown._replace(dead=after.dead), held_up)


def test_an_hour_of_heartbeats_under_a_held_snapshot_costs_a_row_each_and_nothing_after_it(
    database,
):
    join(database)
    with psycopg.connect(database.owner_url) as holder:
        holder.execute("select pg_current_xact_id()")  # it has written; idle in its transaction from now on
        held, held_up = beat(database)
        assert held_up >= NODES * BEATS - 1
        assert held.dead >= NODES * BEATS - 1, "nothing could be removed"
        assert NODES * BEATS * 100 < held.table < NODES * BEATS * ROW_BYTES_MAX
        assert held.index < held.table / 10, "an entry for each page, not for each beat"
        assert held.in_place > 0.6 * held.updates
        holder.rollback()

    with database.connect_as_owner() as owner:
        owner.execute("vacuum nodes")  # as autovacuum does by itself
    free, held_up = beat(database)
    room = held_up * ROW_BYTES_MAX
    assert max(free.table, 0) <= room, "what follows goes into the room that was made"
    assert max(free.index, 0) <= room / 10
    assert free.in_place > 0.98 * (free.updates - held_up)


def test_without_a_held_snapshot_an_hour_of_heartbeats_stays_in_a_few_pages(database):
    join(database)
    grown, held_up = beat(database)
    room = held_up * ROW_BYTES_MAX
    assert grown.table < 64 * 1024 + room
    assert grown.index <= room / 10
    assert grown.in_place > 0.98 * (grown.updates - held_up)


def test_a_transaction_of_another_database_holds_up_heartbeats_once_it_has_written(database, empty_database):
    join(database)
    with psycopg.connect(empty_database.owner_url) as other:
        other.execute("select pg_current_xact_id()")
        grown, held_up = beat(database, 300)
    assert held_up >= NODES * 300 - 1
    assert NODES * 300 * 100 < grown.table < NODES * 300 * ROW_BYTES_MAX
