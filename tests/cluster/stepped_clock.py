"""A clock that steps, of one database: its functions read clock_timestamp(), which is replaced there."""

import psycopg
from psycopg import conninfo


class SteppedClock:
    """What clock_timestamp() answers in one database: the real clock, and what it was stepped by."""

    def __init__(self, server: str, name: str) -> None:
        """server: the URL of a superuser. Sessions that are open already go on with the real clock."""
        self._conninfo = conninfo.make_conninfo(server, dbname=name)
        self._execute(
            "create table public.clock_step (by interval not null)",
            "insert into public.clock_step values ('0')",
            "grant select on public.clock_step to public",
            "create function pg_catalog.steady_clock() returns timestamptz"
            " language internal volatile as 'clock_timestamp'",
            "create function pg_catalog.stepped_clock() returns timestamptz language sql volatile"
            " as $$ select pg_catalog.steady_clock() + (select s.by from public.clock_step as s) $$",
            # So small that the planner puts its body into each call. Called as it is, it would be
            # the built-in one, which the server knows by its number.
            "create or replace function pg_catalog.clock_timestamp() returns timestamptz language sql volatile"
            " as $$ select pg_catalog.stepped_clock() $$",
        )

    def step(self, seconds: float) -> None:
        """Steps the clock, forward or, if negative, back."""
        self._execute(f"update public.clock_step set by = by + interval '{seconds} s'")

    def _execute(self, *statements: str) -> None:
        with psycopg.connect(self._conninfo) as connection:
            for statement in statements:
                connection.execute(statement)
