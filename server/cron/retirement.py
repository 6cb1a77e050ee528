"""When a task that no configuration names any more is taken out of service.

Each member of the cluster says which tasks it knows. A task that none of them
names may be an old node's that restarts just now, or a new one's that has not
joined yet. So whoever retires a task has watched for some time, on its own
clock and without a gap, that no member knows it. Every node watches; the first
that is sure retires it, and the database looks once more (retire_task.sql).

Being wrong costs little: a node that names the task brings it back at its
start, or as soon as it sees that it is retired (define_tasks.sql).

Pure: no clock, no I/O. Moments are seconds on the caller's own clock.
"""

from collections.abc import Collection, Iterable

GAP_SECONDS_MAX = 20.0
"""Between two looks, of which there is one every 5 s; after more of it a node begins to watch anew."""


class Forgotten:
    """The tasks that no member knows, and since when this node has seen that."""

    def __init__(self, patience_seconds: float) -> None:
        self._patience_seconds = patience_seconds
        self._since: dict[str, float] = {}
        self._looked_at = float("-inf")

    def look(self, tasks: Iterable[str], known: Collection[str], now: float) -> list[str]:
        """Takes in what is to be seen at `now`; returns the tasks to retire, by name.

        tasks: those that are in service. known: what any member knows.
        """
        if now - self._looked_at > GAP_SECONDS_MAX:
            self._since = {}
        self._looked_at = now
        self._since = {task: self._since.get(task, now) for task in tasks if task not in known}
        return sorted(task for task, since in self._since.items() if now - since >= self._patience_seconds)
