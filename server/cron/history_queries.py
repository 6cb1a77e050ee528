"""The queries behind history.py: one a collection, whatever its size.

Each function answers the text of a statement, compiled once.
"""

from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    Subquery,
    Text,
    any_,
    bindparam,
    case,
    func,
    literal_column,
    null,
    select,
    true,
    tuple_,
)
from sqlalchemy.dialects.postgresql import TIMESTAMP, array
from sqlalchemy.sql.selectable import LateralFromClause

from server.postgres.queries import json_text, rfc_3339, seconds, text_of
from server.postgres.tables import nodes, runs, tasks

_SUCCESSORS = runs.alias("successors")
_MOMENT = TIMESTAMP(timezone=True)
# As a literal, or the planner can't tell that the partial index holds these rows.
_IS_RUNNING = runs.c.status == literal_column("'running'")

# Of each filter of RunFilter, the condition that it sets.
_CONDITIONS: dict[str, ColumnElement[bool]] = {
    "task": runs.c.task_name == bindparam("task", type_=Text),
    "node": runs.c.node_name == bindparam("node", type_=Text),
    "status": runs.c.status == bindparam("status", type_=Text),
    "since": runs.c.started_at >= bindparam("since", type_=_MOMENT),
    "until": runs.c.started_at < bindparam("until", type_=_MOMENT),
    # Beside the id, `before_at` belongs to it: one comparison, so that the index finds the place.
    "before_id": tuple_(runs.c.started_at, runs.c.id)
    < tuple_(bindparam("before_at", type_=_MOMENT), bindparam("before_id", type_=BigInteger)),
}


# Of filters that an index begins with, the column; the first one given leads the order.
_LEADING: dict[str, ColumnElement[Any]] = {
    "task": runs.c.task_name,
    "node": runs.c.node_name,
    "status": runs.c.status,
}


def _is_one_of(column: ColumnElement[Any], value: ColumnElement[Any]) -> ColumnElement[bool]:
    """That a column has a value, so that the order may begin with it.

    An equality would make the column a constant and drop it from the order, and then the
    planner may walk the index of all runs backwards until it meets one that fits: quick for
    what runs now, and a walk over ten million rows for a task that has gone.
    """
    return column == any_(array([value]))


@cache
def tasks_query() -> str:
    """All tasks by name, each with its running and its last run."""
    return text_of(_tasks().order_by(tasks.c.name))


@cache
def task_query() -> str:
    """One task with its running and its last run. Values: name."""
    return text_of(_tasks().where(tasks.c.name == bindparam("name")))


@cache
def runs_query(filters: frozenset[str]) -> str:
    """Runs, newest first by their start. Values: limit, and one for each of `filters`.

    Each filter has an index in this order, so the newest page and the last one cost the same.
    """
    order: list[ColumnElement[Any]] = [runs.c.started_at.desc(), runs.c.id.desc()]
    conditions = [_CONDITIONS[name] for name in sorted(filters & _CONDITIONS.keys())]
    leading = next((name for name in _LEADING if name in filters), None)
    if leading is not None:
        column, value = _LEADING[leading], bindparam(leading, type_=Text)
        conditions.remove(_CONDITIONS[leading])
        conditions.append(_is_one_of(column, value))
        order.insert(0, column.desc())
    return text_of(
        select(*_run_columns())
        .where(*conditions)
        .order_by(*order)
        .limit(bindparam("limit", type_=BigInteger))
    )


@cache
def run_query() -> str:
    """One run with its output. Values: id."""
    return text_of(
        select(*_run_columns(), runs.c.output).where(runs.c.id == bindparam("id", type_=BigInteger))
    )


def _run_columns() -> list[ColumnElement[Any]]:
    """What a Run consists of, under the names of its members."""
    successor = (
        select(func.min(_SUCCESSORS.c.id)).where(_SUCCESSORS.c.predecessor_id == runs.c.id).scalar_subquery()
    )
    return [
        runs.c.id,
        runs.c.task_name.label("task"),
        runs.c.node_name.label("node"),
        runs.c.status,
        runs.c.trigger,
        rfc_3339(runs.c.scheduled_for).label("scheduled_for"),
        rfc_3339(runs.c.started_at).label("started_at"),
        rfc_3339(runs.c.finished_at).label("finished_at"),
        seconds(runs.c.finished_at - runs.c.started_at).label("duration_seconds"),
        seconds(runs.c.started_at - runs.c.scheduled_for).label("lateness_seconds"),
        runs.c.attempt,
        json_text(runs.c.progress).label("progress"),
        json_text(runs.c.result).label("result"),
        runs.c.error,
        runs.c.predecessor_id.label("predecessor"),
        successor.label("successor"),
    ]


def _running() -> Subquery:
    """All runs under way with the node that holds each; the index keeps it to one a task."""
    holder = (nodes.c.name == runs.c.node_name) & (nodes.c.incarnation == runs.c.incarnation)
    return (
        select(
            runs.c.id,
            runs.c.task_name,
            runs.c.node_name,
            runs.c.started_at,
            runs.c.progress,
            nodes.c.host,
            nodes.c.pid,
        )
        .select_from(runs.outerjoin(nodes, holder))
        .where(_IS_RUNNING)
        .subquery("running")
    )


def _last_run() -> LateralFromClause:
    """The newest run of a task that has ended."""
    return (
        select(*_run_columns())
        .where(_is_one_of(runs.c.task_name, tasks.c.name), runs.c.finished_at.is_not(None))
        .order_by(runs.c.task_name.desc(), runs.c.id.desc())
        .limit(literal_column("1"))
        .lateral("last_run")
    )


def _tasks() -> Select[Any]:
    running, last_run = _running(), _last_run()
    rests = tasks.c.paused | tasks.c.retired_at.is_not(None)
    return select(
        tasks.c.name,
        tasks.c.function,
        tasks.c.schedule,
        tasks.c.paused,
        case((rests, null()), else_=rfc_3339(tasks.c.next_run_at)).label("next_run_at"),
        tasks.c.skipped_ticks,
        rfc_3339(tasks.c.skipped_at).label("skipped_at"),
        tasks.c.skipped_reason,
        rfc_3339(tasks.c.retired_at).label("retired_at"),
        running.c.id.label("running_id"),
        running.c.node_name.label("running_node"),
        running.c.host,
        running.c.pid,
        rfc_3339(running.c.started_at).label("running_started_at"),
        seconds(func.clock_timestamp() - running.c.started_at).label("elapsed_seconds"),
        json_text(running.c.progress).label("running_progress"),
        *(column.label(f"last_{column.name}") for column in last_run.c),
    ).select_from(tasks.outerjoin(running, running.c.task_name == tasks.c.name).outerjoin(last_run, true()))
