"""What the scheduler sees of the table of tasks, and when that was."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from server.cluster.lease import boot_time
from server.cron.catalogue import Catalogue, Task


@dataclass(frozen=True)
class TaskView:
    """One task as last read. task: None if this node can't run it.

    due_trace: the trace context of the request that made it due, if one did.
    """

    name: str
    task: Task | None
    paused: bool
    next_run_at: datetime
    due_at: datetime | None
    running_id: int | None
    cancel_requested: bool
    running_since: datetime | None = None
    due_trace: str | None = None

    @property
    def earliest(self) -> datetime:
        """When it is due, by its schedule or out of turn."""
        return self.next_run_at if self.due_at is None else min(self.next_run_at, self.due_at)

    def is_out_of_turn(self, now: datetime) -> bool:
        """Whether it is `due_at` that starts it next, though a tick may have passed as well."""
        return self.running_id is None and self.due_at is not None and self.due_at <= max(now, self.earliest)


@dataclass(frozen=True)
class View:
    """All tasks but the retired ones, with the database's clock laid beside this node's own.

    The two are read together and only differences are used, so it does not
    matter what either clock shows.
    """

    tasks: Mapping[str, TaskView]
    read_at: float
    clock: datetime

    def now(self) -> datetime:
        """The database's clock, carried on with the node's own."""
        return self.clock + timedelta(seconds=boot_time() - self.read_at)

    def on_own_clock(self, moment: datetime) -> float:
        """A moment of the database's clock in CLOCK_BOOTTIME seconds."""
        return self.read_at + (moment - self.clock).total_seconds()


def from_rows(rows: Sequence[Any], catalogue: Catalogue, read_at: float) -> View | None:
    """The view from the rows of `tasks_view`; None while there is no task.

    read_at: CLOCK_BOOTTIME after the answer came, so that a task is never
    believed to be due before it is.
    """
    if not rows:
        return None
    return View(
        {
            row.name: TaskView(
                row.name,
                catalogue.counting(row.name, row.definition, row.definition_hash),
                row.paused,
                row.next_run_at,
                row.due_at,
                row.running_id,
                row.cancel_requested,
                row.running_since,
                row.due_trace,
            )
            for row in rows
            if not row.retired
        },
        read_at,
        rows[0].now,
    )
