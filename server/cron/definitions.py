"""Which tasks there are: a node writes its configuration to the table, and looks after what is in it.

The table's functions decide which of two configurations counts (define_tasks.sql), and
whether a task may be taken out of service (retire_task.sql). Why and when: see retirement.py.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import structlog
from psycopg.types.json import Jsonb

from server.cluster.lease import boot_time
from server.cron.catalogue import Catalogue
from server.cron.recorder import STATEMENTS
from server.cron.retirement import Forgotten
from server.postgres.connections import Database

DEFINE_SECONDS_MAX = 60.0

# What define_tasks() answers, in words.
CHANGES = {
    "made": "task is new",
    "returned": "task is back: it was retired",
    "changed": "task is defined anew, by a higher revision",
    "contested": "another configuration of this revision defined the task before; raise `revision`",
    "outranked": "another configuration of a higher revision defines the task, and this one does not count",
}
UNSETTLED = frozenset({"contested", "outranked"})

log = structlog.get_logger(__name__)


class Definitions:
    """The tasks in service, as far as this node has a say. patience_seconds: see Forgotten."""

    def __init__(self, database: Database, catalogue: Catalogue, patience_seconds: float) -> None:
        self._database = database
        self._catalogue = catalogue
        self._forgotten = Forgotten(patience_seconds)

    async def write(self, names: Iterable[str] | None = None) -> None:
        """Writes this node's configuration: all of it, or that of some tasks.

        Raises DatabaseUnavailableError.
        """
        now = (await self._database.row(STATEMENTS["clock"], deadline_seconds=DEFINE_SECONDS_MAX)).now
        wanted = self._catalogue.names if names is None else names
        definitions = [
            self._catalogue.tasks[name].for_database(self._catalogue.revision, now) for name in wanted
        ]
        row = await self._database.row(
            STATEMENTS["define_tasks"],
            {"definitions": Jsonb(definitions)},
            deadline_seconds=DEFINE_SECONDS_MAX,
        )
        for one in row.changes:
            tell = log.warning if one["change"] in UNSETTLED else log.info
            tell(CHANGES[one["change"]], task=one["name"], revision=self._catalogue.revision)

    async def look_after(self, rows: Sequence[Any], known_elsewhere: Collection[str]) -> bool:
        """Takes out what no member has known for long; brings back what was taken out and is known here.

        rows: all tasks as they were just read. Returns whether something was brought back.
        Raises DatabaseUnavailableError.
        """
        in_service = [row.name for row in rows if not row.retired]
        known = {*self._catalogue.names, *known_elsewhere}
        for name in self._forgotten.look(in_service, known, boot_time()):
            row = await self._database.row(STATEMENTS["retire_task"], {"task": name})
            if row.retired:
                log.warning("task retired: no configuration names it any more", task=name)
        # This node began to live between the look at the members and the retirement.
        wrongly = [row.name for row in rows if row.retired and row.name in self._catalogue.tasks]
        if wrongly:
            await self.write(wrongly)
        return bool(wrongly)
