"""The members of the cluster, as anybody may ask about them.

Everything is computed from rows that were read just now, by the database's
clock, so every node gives the same answer. What a node itself believes about
the others (membership.py) has no part in it.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache, lru_cache
from types import MappingProxyType

from msgspec import Struct
from sqlalchemy import func, literal_column, select
from sqlalchemy.dialects.postgresql import aggregate_order_by

from server.cluster.ring import assign
from server.postgres.connections import Database
from server.postgres.queries import rfc_3339, seconds, text_of
from server.postgres.sessions import Row
from server.postgres.tables import nodes, runs, tasks


class Member(Struct, frozen=True, rename="camel"):
    """One node, in the shape in which it is sent.

    lease_seconds: what is left of its right to run tasks; 0 when it has passed.
    owns: the tasks that the hash gives to it. runs: the ids of those it runs.
    """

    name: str
    state: str
    incarnation: int
    host: str
    pid: int
    url: str
    version: str
    started_at: str
    lease_seconds: float
    owns: list[str]
    runs: list[int]


async def read_owners(database: Database) -> Mapping[str, str]:
    """The owner of each task; a task that no living node knows is absent.

    Raises DatabaseUnavailableError.
    """
    return owners(await _read_task_names(database), await database.rows(_nodes_query()))


async def read_members(database: Database) -> list[Member]:
    """All nodes that the table knows, the dead ones too, by name.

    Raises DatabaseUnavailableError.
    """
    names, rows = await read_roster(database)
    owns: dict[str, list[str]] = {row.name: [] for row in rows}
    for task, owner in sorted(owners(names, rows).items()):
        owns[owner].append(task)
    return [
        Member(
            name=row.name,
            state=row.state,
            incarnation=row.incarnation,
            host=row.host,
            pid=row.pid,
            url=row.url,
            version=row.version,
            started_at=row.started_at,
            lease_seconds=max(0.0, row.lease_seconds),
            owns=owns[row.name],
            runs=row.runs or [],
        )
        for row in rows
    ]


async def read_roster(database: Database) -> tuple[list[str], list[Row]]:
    """The names of all tasks in service, and the rows of all nodes. Raises DatabaseUnavailableError."""
    rows = await database.rows(_nodes_query())
    return await _read_task_names(database), rows


async def _read_task_names(database: Database) -> list[str]:
    # Of all tasks in service, since who owns one depends on the others.
    return [row.name for row in await database.rows(_task_names_query())]


def owners(task_names: Iterable[str], rows: Sequence[Row]) -> Mapping[str, str]:
    """Who should run each task: the hash over those that may run any at all.

    Pure. rows: of the nodes, with name, state, tasks and lease_seconds.
    """
    return _assigned(tuple(task_names), frozenset(able_nodes(rows).items()))


@lru_cache(maxsize=1)
def _assigned(task_names: tuple[str, ...], able: frozenset[tuple[str, frozenset[str]]]) -> Mapping[str, str]:
    # Observers ask every second, and it seldom changes; with many tasks it is most of what they cost.
    return MappingProxyType(assign(task_names, dict(able)))


def able_nodes(rows: Sequence[Row]) -> dict[str, frozenset[str]]:
    """The nodes that may own tasks, with the names of those that each knows."""
    return {row.name: frozenset(row.tasks) for row in rows if row.state == "live" and row.lease_seconds > 0}


@cache
def _nodes_query() -> str:
    running = (
        select(func.array_agg(aggregate_order_by(runs.c.id, runs.c.id)))
        .where(runs.c.node_name == nodes.c.name, runs.c.incarnation == nodes.c.incarnation)
        .where(runs.c.status == literal_column("'running'"))
        .scalar_subquery()
    )
    return text_of(
        select(
            nodes.c.name,
            nodes.c.state,
            nodes.c.incarnation,
            nodes.c.host,
            nodes.c.pid,
            nodes.c.url,
            nodes.c.version,
            rfc_3339(nodes.c.started_at).label("started_at"),
            seconds(nodes.c.lease_expires_at - func.clock_timestamp()).label("lease_seconds"),
            nodes.c.tasks,
            running.label("runs"),
        ).order_by(nodes.c.name)
    )


@cache
def _task_names_query() -> str:
    return text_of(select(tasks.c.name).where(tasks.c.retired_at.is_(None)).order_by(tasks.c.name))
