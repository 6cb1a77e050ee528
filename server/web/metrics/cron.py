"""Tasks and runs: what began and ended here, what is late, and what did not happen at all.

The counters are this node's part, so sums over all nodes are the cluster's. What is said
of a task as such (overdue, interval, paused) every node says alike: take the maximum.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import product

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from server.cluster.membership import Membership
from server.cron.expectation import longest_gap_seconds
from server.cron.scheduler import Scheduler
from server.cron.view import TaskView
from server.web.metrics.definition import Definition, Labels, bounded

ALARMING = ("failed", "timed_out")

STARTED = Definition(
    "counter",
    "ringfence_runs_started_total",
    "Runs that this node began. trigger `lost` is a takeover from a node that died.",
    ("task", "trigger"),
)
ENDED = Definition(
    "counter",
    "ringfence_runs_total",
    "Runs that this node held to their end. A run whose node died is counted by nobody here, but as "
    "started once more with trigger `lost`.",
    ("task", "status"),
)
RUN_SECONDS = Definition(
    "counter", "ringfence_run_seconds_total", "How long the runs that ended here have taken.", ("task",)
)
RUNNING = Definition(
    "gauge", "ringfence_run_running_seconds", "How long the run that this node holds has run.", ("task",)
)
HELD = Definition("gauge", "ringfence_runs_held", "Runs that this node answers for now.")
REFUSED = Definition(
    "counter",
    "ringfence_run_starts_refused_total",
    "Starts that the database did not allow. Some are normal: two nodes may try at once.",
    ("reason",),
)
LATENESS = Definition(
    "histogram",
    "ringfence_run_lateness_seconds",
    "From when a run was due to its start. With trigger `lost`: what a takeover took since the loss "
    "was known.",
    ("trigger",),
)
SKIPPED = Definition(
    "counter",
    "ringfence_ticks_skipped_total",
    "Times of a schedule that this node left out, by why: still_running, missed (before the "
    "present run began, or too late under missed: skip) or beyond_missed_max.",
    ("task", "reason"),
)
OVERDUE = Definition(
    "gauge",
    "ringfence_task_overdue_seconds",
    "For how long a task has been due without running; 0 while it runs, is paused or is not due.",
    ("task",),
)
INTERVAL = Definition(
    "gauge", "ringfence_task_interval_seconds", "The longest time between a task's next runs.", ("task",)
)
PAUSED = Definition("gauge", "ringfence_task_paused", "1 while an operator has paused the task.", ("task",))
OWNED = Definition("gauge", "ringfence_tasks_owned", "Tasks that the hash gives to this node.")
SPREAD = Definition(
    "gauge",
    "ringfence_assignment_spread_tasks",
    "Tasks of the node that owns most less those of the one that owns least; 1 at most while all know "
    "the same tasks.",
)
UNOWNED = Definition("gauge", "ringfence_tasks_unowned", "Tasks in service that no live node knows.")
DEFINITIONS = (
    STARTED, ENDED, RUN_SECONDS, RUNNING, HELD, REFUSED, LATENESS, SKIPPED,
    OVERDUE, INTERVAL, PAUSED, OWNED, SPREAD, UNOWNED,
)  # fmt: skip


class CronCollector(Collector):
    """What the scheduler of this node knows; asks nobody."""

    def __init__(self, scheduler: Scheduler, membership: Membership) -> None:
        self._scheduler = scheduler
        self._membership = membership
        self._gaps: dict[tuple[str, str], float] = {}  # by task and definition

    def collect(self) -> Iterator[Metric]:
        figures = self._scheduler.figures
        yield STARTED.each(bounded(dict(figures.started), sum))
        yield ENDED.each(bounded(self._ended(), sum))
        yield RUN_SECONDS.each(bounded(_by_task(figures.run_seconds), sum))
        runner = self._scheduler.runner
        yield RUNNING.each(bounded(_by_task(dict(runner.running()) if runner else {}), max))
        yield HELD.of(len(runner.held) if runner else 0)
        yield REFUSED.each({(reason,): count for reason, count in figures.refused.items()})
        yield LATENESS.spread({(trigger,): one for trigger, one in figures.lateness_seconds.items()})
        yield SKIPPED.each(bounded(dict(figures.skipped), sum))
        yield from self._of_tasks()
        yield from self._of_owners()

    def _ended(self) -> dict[tuple[str, str], int]:
        """Failures from the start, at 0: of a counter that appears with 1 nobody sees that it grew."""
        view = self._scheduler.view
        names = view.tasks if view else ()
        return dict.fromkeys(product(names, ALARMING), 0) | self._scheduler.figures.ended

    def _of_tasks(self) -> Iterator[Metric]:
        view = self._scheduler.view
        if view is None:
            return
        now = view.now()
        overdue: dict[Labels, float] = {}
        interval: dict[Labels, float] = {}
        paused: dict[Labels, float] = {}
        for seen in view.tasks.values():
            rests = seen.paused or seen.running_id is not None
            overdue[seen.name,] = 0.0 if rests else max(0.0, (now - seen.earliest).total_seconds())
            paused[seen.name,] = seen.paused
            if seen.task is not None:
                interval[seen.name,] = self._gap(seen)
        yield OVERDUE.each(bounded(overdue, max))
        yield INTERVAL.each(bounded(interval, max))
        yield PAUSED.each(bounded(paused, max))

    def _gap(self, seen: TaskView) -> float:
        assert seen.task is not None, "only of tasks that this node knows"
        key = (seen.name, seen.task.definition_hash)
        if key not in self._gaps:
            self._gaps[key] = longest_gap_seconds(seen.task.schedule, seen.next_run_at)
        return self._gaps[key]

    def _of_owners(self) -> Iterator[Metric]:
        owners = self._scheduler.owners
        live = [member.name for member in self._membership.members if member.state == "live"]
        owned = Counter(owners.values())
        shares = [owned[name] for name in live]
        yield OWNED.of(owned[self._membership.name])
        yield SPREAD.of(max(shares, default=0) - min(shares, default=0))
        view = self._scheduler.view
        yield UNOWNED.of(len(view.tasks.keys() - owners.keys()) if view and owners else 0)


def _by_task(values: Mapping[str, float]) -> dict[Labels, float]:
    return {(task,): value for task, value in values.items()}
