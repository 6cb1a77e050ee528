"""What only the database knows: asked seldom, kept for a while, and never waited for long.

A scrape gets what was read FACTS_SECONDS_KEPT ago at most; while the database is away it
gets what was read last, ages carried on, and ringfence_database_reachable 0.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any

import psycopg
import structlog
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from server.errors import DatabaseUnavailableError
from server.postgres.connections import Database
from server.postgres.statements import load
from server.postgres.tables import metadata
from server.web.metrics.definition import LABELLED_MAX, Definition

FACTS_SECONDS_KEPT = 10.0
FACTS_SECONDS_MAX = 1.0
"""How long a scrape waits for the database; what comes later is for the next one."""
RUNS_LOOKED_AT = 20
"""Of each task, for its last success."""
STATEMENTS = load("server.web.metrics", "facts.sql")

REACHABLE = Definition(
    "gauge", "ringfence_database_reachable", "1 if the database answered this node's last look, else 0."
)
AGE = Definition(
    "gauge",
    "ringfence_database_facts_age_seconds",
    "How old the figures of this section are that come from the database.",
)
LAST_SUCCESS = Definition(
    "gauge",
    "ringfence_task_last_success_age_seconds",
    "How long ago a task last succeeded, wherever it ran. Without a success among its newest runs: at "
    "least so long. A task that never ran has none, see ringfence_task_overdue_seconds.",
    ("task",),
)
NOTIFY_QUEUE = Definition(
    "gauge",
    "ringfence_database_notify_queue_usage_ratio",
    "How full the server's queue of notifications is, 0 to 1; at 1 commits fail.",
)
CONNECTIONS = Definition(
    "gauge", "ringfence_database_server_connections", "Sessions of the server, everybody's."
)
CONNECTIONS_MAX = Definition(
    "gauge", "ringfence_database_server_connections_max", "max_connections of the server."
)
OLDEST = Definition(
    "gauge",
    "ringfence_database_oldest_transaction_seconds",
    "Age of the oldest open transaction on this database, of those that the service's role may see.",
)
TABLE_BYTES = Definition(
    "gauge", "ringfence_database_table_bytes", "Size of a table with its indexes.", ("table",)
)
LIVE_ROWS = Definition(
    "gauge", "ringfence_database_table_live_rows", "Rows of a table, estimated.", ("table",)
)
DEAD_ROWS = Definition(
    "gauge",
    "ringfence_database_table_dead_rows",
    "Rows that vacuum has yet to remove, estimated.",
    ("table",),
)
DEFINITIONS = (
    REACHABLE, AGE, LAST_SUCCESS, NOTIFY_QUEUE, CONNECTIONS, CONNECTIONS_MAX, OLDEST,
    TABLE_BYTES, LIVE_ROWS, DEAD_ROWS,
)  # fmt: skip

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Facts:
    """What was read. at, succeeded_at: monotonic seconds, the latter by task."""

    at: float
    server: Any
    tables: list[Any]
    succeeded_at: dict[str, float]


class FactsCollector(Collector):
    """Asks when refresh() is called, and tells what it knows when it is collected."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._facts: Facts | None = None
        self._is_reachable = False
        self._asked_at = float("-inf")
        self._asking: asyncio.Task[None] | None = None

    async def refresh(self) -> None:
        """Reads anew what is too old; returns within FACTS_SECONDS_MAX, whatever the database does."""
        is_asked = self._asking is not None and not self._asking.done()
        if not is_asked and monotonic() - self._asked_at > FACTS_SECONDS_KEPT:
            self._asked_at = monotonic()
            self._asking = asyncio.create_task(self._ask())
        if self._asking is not None:
            # Waited for, and not cancelled: another scrape may wait for the same.
            await asyncio.wait({self._asking}, timeout=FACTS_SECONDS_MAX)
            if not self._asking.done():
                self._is_reachable = False

    async def _ask(self) -> None:
        try:
            (server,) = await self._rows("server")
            tables = await self._rows("tables", tables=list(metadata.tables))
            rows = await self._rows("successes", limit=LABELLED_MAX, runs=RUNS_LOOKED_AT)
        except (DatabaseUnavailableError, psycopg.Error) as error:
            # Not a failure of the scrape: that the database is away is what it then tells.
            log.debug("the database gave no figures", error=str(error))
            self._is_reachable = False
            return
        before = self._facts.succeeded_at if self._facts else {}
        self._facts = Facts(monotonic(), server, tables, last_successes(rows, before, monotonic()))
        self._is_reachable = True

    async def _rows(self, statement: str, **params: Any) -> list[Any]:
        return await self._database.rows(
            STATEMENTS[statement], params, deadline_seconds=2 * FACTS_SECONDS_MAX
        )

    def collect(self) -> Iterator[Metric]:
        yield REACHABLE.of(self._is_reachable)
        facts = self._facts
        if facts is None:
            return
        now = monotonic()
        yield AGE.of(now - facts.at)
        yield LAST_SUCCESS.each({(task,): now - at for task, at in facts.succeeded_at.items()})
        yield NOTIFY_QUEUE.of(facts.server.notify_queue_usage)
        yield CONNECTIONS.of(facts.server.connections)
        yield CONNECTIONS_MAX.of(facts.server.connections_max)
        yield OLDEST.of(facts.server.oldest_transaction_seconds)
        yield TABLE_BYTES.each({(row.name,): row.bytes for row in facts.tables})
        yield LIVE_ROWS.each({(row.name,): row.live_rows for row in facts.tables})
        yield DEAD_ROWS.each({(row.name,): row.dead_rows for row in facts.tables})


def last_successes(rows: Iterable[Any], before: Mapping[str, float], now: float) -> dict[str, float]:
    """When each task last succeeded, at the latest; monotonic seconds.

    Pure. before: what this said the last time. Of a task that has failed so often that its last
    success is out of sight, what was known remains: it can't have succeeded since.
    """
    found: dict[str, float] = {}
    for row in rows:
        if row.success_seconds is not None:
            found[row.name] = now - row.success_seconds
        elif row.oldest_seconds is not None:
            found[row.name] = min(now - row.oldest_seconds, before.get(row.name, now))
    return found
