"""How long and how much of the history is kept, as a task's params say it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

DAY_SECONDS = 86_400
HOUR_SECONDS = 3_600
COUNT_MAX = 2_147_483_647
"""The largest number of rows that may be asked for: an integer of the database."""
AUDIT_DAYS_MIN = 30
"""The database keeps each line of the audit record that long, whoever wants it gone."""
STATUSES = ("succeeded", "failed", "cancelled", "timed_out", "interrupted", "lost")
"""Of runs that have ended; what runs is never pruned."""


@dataclass(frozen=True)
class Retention:
    """What stays. The ledger is no history: nothing here touches `entries`.

    keep_days: finished runs, events and dead nodes. keep_days_of: runs of some statuses, instead.
    keep_runs: finished runs of each task, the newest so many. keep_runs_of: of some tasks, instead.
    keep_events: events at most, whatever their age.
    keep_audit_days: the audit record.
    keep_keys_hours: how long at least a repeated Idempotency-Key gets its first answer.
    Raises ValueError for what makes no sense.
    """

    keep_days: float = 30
    keep_days_of: Mapping[str, float] = field(default_factory=dict)
    keep_runs: int = 10_000
    keep_runs_of: Mapping[str, int] = field(default_factory=dict)
    keep_events: int = 1_000_000
    keep_audit_days: float = 400
    keep_keys_hours: float = 24

    def __post_init__(self) -> None:
        unknown = sorted(self.keep_days_of.keys() - set(STATUSES))
        if unknown:
            raise ValueError(f"keep_days_of: {', '.join(unknown)}: expected some of {', '.join(STATUSES)}")
        if min(self.keep_days, self.keep_keys_hours, *self.keep_days_of.values()) < 0:
            raise ValueError("keep_days, keep_days_of and keep_keys_hours must be 0 or more")
        if self.keep_audit_days < AUDIT_DAYS_MIN:
            raise ValueError(f"keep_audit_days must be {AUDIT_DAYS_MIN} or more")
        counts = (self.keep_runs, self.keep_events, *self.keep_runs_of.values())
        if not all(isinstance(count, int) and 1 <= count <= COUNT_MAX for count in counts):
            raise ValueError(
                f"keep_runs, keep_runs_of and keep_events must be whole numbers from 1 to {COUNT_MAX}"
            )

    @classmethod
    def of(cls, params: Mapping[str, object]) -> Retention:
        """From params by name. Raises TypeError for a name that nobody knows."""
        unknown = sorted(params.keys() - {one.name for one in fields(cls)})
        if unknown:
            raise TypeError(f"prune_history() takes no {', '.join(unknown)}")
        return cls(**params)  # type: ignore[arg-type]  # __post_init__ judges the values

    def runs_seconds(self, status: str) -> float:
        """How long a run that ended so is kept."""
        return self.keep_days_of.get(status, self.keep_days) * DAY_SECONDS

    def runs_of(self, task: str) -> int:
        """How many finished runs of a task are kept."""
        return self.keep_runs_of.get(task, self.keep_runs)
