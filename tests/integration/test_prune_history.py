"""What goes from the history and what stays: by status and age, by number, in small batches; never the ledger."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from long_history import RUNS, cost_of, fill, opened

from server.jobs import history
from server.jobs.history import SQL, by_age, by_count
from server.jobs.retention import STATUSES, Retention

TASKS = ("hourly", "daily", "yearly")
NEVER = 10_000  # days
MANY = 1_000


class Old(NamedTuple):
    """A run, ended so many days ago, give or take an hour: no example lies on a horizon."""

    task: str
    status: str
    days: int
    hours_long: int


@pytest.fixture
def owner(database):
    with database.connect_as_owner() as found:
        found.execute("set synchronous_commit = off")
        yield found


@pytest.fixture
def application(database):
    with database.connect() as found:
        found.execute("set synchronous_commit = off")
        yield found


def add(owner, runs: Sequence[Old]) -> list[int]:
    """Their ids, which grow in this order."""
    now = datetime.now(UTC)
    found = []
    with owner.transaction():
        for run in runs:
            ended = now - timedelta(days=run.days, hours=1)
            began = ended - timedelta(hours=run.hours_long)
            row = owner.execute(
                """insert into runs (task_name, node_name, incarnation, status, trigger, scheduled_for, started_at,
                                     finished_at, attempt)
                   values (%s, 'node-1', 1, %s, 'schedule', %s, %s, %s, 1) returning id""",
                [run.task, run.status, began, began, None if run.status == "running" else ended],
            ).fetchone()
            found.append(row[0])
    return found


def prune(connection, retention: Retention, rows_max: int) -> list[int]:
    """Every batch of the job, one look long; how much each deleted."""
    batches = []
    for piece in (*by_age(retention, rows_max), *by_count(retention, rows_max, list(TASKS))):
        while deleted := connection.execute(SQL[piece.statement], piece.params).fetchone()[0]:
            batches.append(deleted)
    return batches


def ids(connection, table: str = "runs") -> list[int]:
    return [one for (one,) in connection.execute(f"select id from {table} order by id")]


def staying(runs: Sequence[Old], retention: Retention) -> list[int]:
    """The places of the runs that stay, by rules in Python that know nothing of the SQL."""
    kept = []
    for task in TASKS:
        ended = [place for place, run in enumerate(runs) if run.task == task and run.status != "running"]
        limits = {status: retention.keep_days_of.get(status, retention.keep_days) for status in STATUSES}
        young = [n for n in ended if runs[n].days < limits[runs[n].status] or n == ended[-1]]
        kept += young[-retention.keep_runs_of.get(task, retention.keep_runs) :]
    return sorted(kept + [place for place, run in enumerate(runs) if run.status == "running"])


olds = st.builds(
    Old, st.sampled_from(TASKS), st.sampled_from(STATUSES), st.integers(0, 60), st.sampled_from([0, 1, 300])
)
retentions = st.builds(
    Retention,
    keep_days=st.integers(0, 60),
    keep_days_of=st.dictionaries(st.sampled_from(STATUSES), st.integers(0, 60)),
    keep_runs=st.integers(1, 8),
    keep_runs_of=st.dictionaries(st.sampled_from(TASKS), st.integers(1, 8)),
)


@given(
    runs=st.lists(olds, max_size=30),
    running=st.sets(st.sampled_from(TASKS)),
    retention=retentions,
    rows_max=st.integers(1, 6),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_exactly_what_is_too_old_for_its_status_or_beyond_its_tasks_number_goes(
    database, owner, application, runs, running, retention, rows_max
):
    owner.execute("delete from runs")
    runs = [*runs, *(Old(task, "running", 0, 0) for task in sorted(running))]
    added = add(owner, runs)
    batches = prune(application, retention, rows_max)
    assert ids(application) == [added[place] for place in staying(runs, retention)]
    assert all(1 <= deleted <= rows_max for deleted in batches)


def test_a_run_is_kept_from_its_end_on_however_long_it_lasted(owner, application):
    _, long, newest = add(
        owner,
        [
            Old("daily", "succeeded", 31, 0),
            Old("daily", "succeeded", 29, 24 * 5),
            Old("daily", "failed", 0, 0),
        ],
    )
    prune(application, Retention(keep_days=30), 100)
    assert ids(application) == [long, newest]


def test_what_another_transaction_holds_is_passed_by_and_goes_later(database, owner, application):
    held, _, newest = add(owner, [Old("daily", "failed", 90, 0)] * 2 + [Old("daily", "failed", 0, 0)])
    application.execute("set lock_timeout = '1s'")
    with psycopg.connect(database.owner_url) as other:
        other.execute("select from runs where id = %s for update", [held])
        assert prune(application, Retention(), 100) == [1]
        assert prune(application, Retention(keep_days=NEVER, keep_runs=1), 100) == []
    assert ids(application) == [held, newest]
    assert prune(application, Retention(), 100) == [1]


def test_events_go_by_age_and_by_number_and_the_newest_of_all_and_of_nodes_stay(owner, application):
    owner.execute("truncate events")
    owner.execute(
        """insert into events (at, channel, event, task)
           select now() - make_interval(days => 60 - n), case when n = 41 then 'node_events' else 'task_events' end,
                  'paused', 'daily' from generate_series(1, 50) as n"""
    )
    first = ids(application, "events")[0]
    old = {"keep_days": 30, "keep_runs": MANY}
    assert prune(application, Retention(**old, keep_events=MANY), 7) == [7, 7, 7, 7, 2]
    assert ids(application, "events")[0] == first + 30
    assert sum(prune(application, Retention(keep_days=NEVER, keep_events=15), 7)) == 5
    assert ids(application, "events")[0] == first + 35
    assert sum(prune(application, Retention(keep_days=0, keep_events=1), 7)) == 5
    assert ids(application, "events")[0] == first + 40, "the membership's version"


def test_rows_of_nodes_go_when_they_have_been_dead_for_long(owner, application):
    for name, state, days in (("a", "dead", 40), ("b", "dead", 20), ("c", "live", 40)):
        owner.execute(
            """insert into nodes select %s, 1, 'h', 1, 'u', 'v', %s, '{}', '15 s', 'b', '/l', 1, 1, now(), now(),
                                        now() - make_interval(days => %s)""",
            [name, state, days],
        )
    prune(application, Retention(), 10)
    assert application.execute("select array_agg(name order by name) from nodes").fetchone() == (["b", "c"],)


def test_a_long_history_that_holds_nothing_old_costs_the_ends_of_some_indexes(database):
    fill(database)
    retention = Retention(keep_days=NEVER, keep_runs=RUNS, keep_events=RUNS)

    async def costs() -> list[dict[str, tuple[int, int]]]:
        async with opened(database) as reader:
            return [
                await cost_of(reader, lambda piece=piece: reader.rows(SQL[piece.statement], piece.params))
                for piece in (*by_age(retention, 100), *by_count(retention, 100, list(TASKS)))
            ]

    for cost in asyncio.run(costs()):
        assert not any(passes for passes, _ in cost.values()), cost
        assert sum(fetched for _, fetched in cost.values()) <= 200, cost


def test_a_large_backlog_goes_in_batches_that_read_little_more_than_they_delete(database):
    fill(database)
    retention = Retention(keep_days=0, keep_days_of={"failed": NEVER}, keep_runs=100, keep_events=100)

    async def costs() -> list[dict[str, tuple[int, int]]]:
        tasks = [f"task-{n}" for n in range(10)]
        async with opened(database) as reader:
            return [
                await cost_of(reader, lambda piece=piece: reader.rows(SQL[piece.statement], piece.params))
                for piece in (*by_age(retention, 100), *by_count(retention, 100, tasks))
            ]

    for cost in asyncio.run(costs()):
        assert not any(passes for passes, _ in cost.values()), cost
        assert sum(fetched for _, fetched in cost.values()) <= 10 * 100, cost


def test_entries_are_never_pruned(database, owner, application):
    application.execute("select deposit(1, 1) from generate_series(1, 20)")
    before = ids(application, "entries")
    assert len(before) == 21
    prune(application, Retention(keep_days=0, keep_runs=1, keep_events=1, keep_keys_hours=0), 100)
    assert ids(application, "entries") == before


@pytest.mark.parametrize(
    "call",
    [
        "prune_runs_by_age('failed', null, 1)",
        "prune_runs_by_age('failed', '-1 s', 1)",
        "prune_runs_by_age('failed', '1 s', 0)",
        "prune_runs_by_count('daily', 0, 1)",
        "prune_runs_by_count('daily', null, 1)",
        "prune_runs_by_count('daily', 1, null)",
        "prune_events('1 s', 0, 1)",
        "prune_events(null, 1, 1)",
        "prune_events('1 s', 1, 0)",
        "prune_nodes(null)",
        "prune_nodes('-1 s')",
    ],
)
def test_a_call_without_its_limits_is_refused(application, call):
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        application.execute(f"select {call}")


@pytest.mark.parametrize(
    ("params", "fault"),
    [
        ({"keep_days": -1}, "0 or more"),
        ({"keep_days_of": {"running": 1}}, "expected some of succeeded"),
        ({"keep_days_of": {"failed": -1}}, "0 or more"),
        ({"keep_runs": 0}, "from 1 to"),
        ({"keep_runs_of": {"daily": 1.5}}, "from 1 to"),
        ({"keep_events": 2**40}, "from 1 to"),
        ({"rows_max": 0}, "rows_max"),
        ({"keep_entries": 1}, "takes no keep_entries"),
    ],
)
def test_a_retention_that_makes_no_sense_fails_the_run_with_the_reason(params, fault):
    with pytest.raises((ValueError, TypeError), match=fault):
        asyncio.run(history.prune_history(None, 0.0, **params))
