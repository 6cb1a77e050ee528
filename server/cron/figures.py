"""What a node's metrics tell of the tasks and runs that it dealt with; outlives each of its tenures."""

from collections import Counter
from dataclasses import dataclass, field

from server.distribution import Distribution

LATENESS_SECONDS = (0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 15.0, 30.0, 60.0, 300.0, 3600.0)
TRIGGERS = ("schedule", "manual", "retry", "lost", "interrupted")


@dataclass
class CronFigures:
    """Kept by the scheduler and its runner, each event by the one node that brought it about.

    started: by task and trigger. ended: by task and status. refused: starts that the
    database refused, by its reason. skipped: ticks, by task and kind. run_seconds: of runs
    that have ended, by task. lateness_seconds: from when a run was due to its start, by
    trigger; that of `lost` is what a takeover took from the moment the loss was known.
    """

    started: Counter[tuple[str, str]] = field(default_factory=Counter)
    ended: Counter[tuple[str, str]] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    skipped: Counter[tuple[str, str]] = field(default_factory=Counter)
    run_seconds: dict[str, float] = field(default_factory=dict)
    lateness_seconds: dict[str, Distribution] = field(
        default_factory=lambda: {trigger: Distribution(LATENESS_SECONDS) for trigger in TRIGGERS}
    )

    def began(self, task: str, trigger: str, late_seconds: float) -> None:
        """A run was started here."""
        self.started[task, trigger] += 1
        self.lateness_seconds[trigger].observe(max(0.0, late_seconds))

    def finished(self, task: str, status: str, seconds: float) -> None:
        """A run that was held here has ended."""
        self.ended[task, status] += 1
        self.run_seconds[task] = self.run_seconds.get(task, 0.0) + seconds
