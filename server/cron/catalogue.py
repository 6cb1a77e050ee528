"""The tasks of the configuration, and how they are written to the database.

The table `tasks` holds the definition that counts for the whole cluster: a node
reads it back, so that nodes with different configurations run the same thing.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from types import MappingProxyType
from typing import Any

import structlog
from pydantic import ValidationError

from server.cron.schedule import Cron, Every, Policy, Schedule, jitter_seconds
from server.errors import ConfigurationError
from server.settings import Settings, TaskSettings

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Task:
    """One task, as configured. schedule: when; settings: everything else."""

    name: str
    settings: TaskSettings
    schedule: Schedule

    @property
    def definition(self) -> dict[str, Any]:
        """The JSON form that the database keeps."""
        return self.settings.definition()

    @cached_property  # asked for with every reading of the tasks
    def definition_hash(self) -> str:
        """Equal for equal definitions, whatever the order of their keys."""
        canonical = json.dumps(self.definition, sort_keys=True, separators=(",", ":"))
        return hashlib.blake2b(canonical.encode(), digest_size=16).hexdigest()

    @property
    def description(self) -> str:
        """The schedule in words; a changed one changes these."""
        return self.schedule.describe()

    @property
    def policy(self) -> Policy:
        """What happens to ticks that can't start in time, and how far the task's times are spread."""
        return Policy(
            missed=self.settings.missed,
            ticks_max=self.settings.missed_ticks_max,
            grace_seconds=self.settings.missed_grace_seconds,
            jitter_seconds=jitter_seconds(self.name, self.settings.jitter_seconds),
        )

    @property
    def _spread(self) -> timedelta:
        return timedelta(seconds=self.policy.jitter_seconds)

    def following(self, scheduled: datetime, now: datetime) -> datetime:
        """The next time on the grid of `scheduled`, after `now`."""
        return self.schedule.following(scheduled - self._spread, now - self._spread) + self._spread

    def for_database(self, revision: int, now: datetime) -> dict[str, Any]:
        """The element of define_tasks() for this task. now: the database's clock."""
        scheduled = self.following(now + self._spread, now + self._spread).isoformat()
        # Spread from the first run on, since an interval's later times follow from that one.
        first = scheduled if self.settings.first == "scheduled" else (now + self._spread).isoformat()
        return {
            "name": self.name,
            "function": self.settings.function,
            "schedule": self.description,
            "definition": self.definition,
            "hash": self.definition_hash,
            "revision": revision,
            "paused": self.settings.paused,
            "firstRunAt": first,
            "nextRunAt": scheduled,
        }


class Catalogue:
    """All tasks that this node knows."""

    def __init__(self, tasks: Mapping[str, Task], revision: int) -> None:
        self.tasks = MappingProxyType(dict(tasks))
        self.revision = revision
        self._read: dict[tuple[str, str], Task | None] = {}

    @classmethod
    def from_settings(cls, settings: Settings) -> "Catalogue":
        """Checks every task's schedule; ConfigurationError names all that are wrong."""
        tasks: dict[str, Task] = {}
        faults: list[str] = []
        for name, task_settings in settings.tasks.items():
            try:
                tasks[name] = Task(name, task_settings, _schedule(task_settings))
            except ValueError as error:
                faults.append(f"{settings.source}: tasks.{name}: {error}")
        if faults:
            raise ConfigurationError("\n".join(faults))
        return cls(tasks, settings.revision)

    @property
    def names(self) -> list[str]:
        """The names of the tasks that this node can run."""
        return sorted(self.tasks)

    def counting(self, name: str, definition: Mapping[str, Any], definition_hash: str) -> Task | None:
        """The task as the database defines it; None if this node does not know the name.

        A definition that only a newer release understands is not run here.
        """
        own = self.tasks.get(name)
        if own is None or own.definition_hash == definition_hash:
            return own
        if (name, definition_hash) not in self._read:
            self._read[name, definition_hash] = _understood(name, definition)
        return self._read[name, definition_hash]


def _understood(name: str, definition: Mapping[str, Any]) -> Task | None:
    try:
        settings = TaskSettings.model_validate(definition)
        task = Task(name, settings, _schedule(settings))
    except (ValidationError, ValueError) as error:
        log.warning("a newer release defines this task; it is not run here", task=name, error=str(error))
        return None
    log.info("another configuration defines this task", task=name, schedule=task.description)
    return task


def _schedule(settings: TaskSettings) -> Schedule:
    if settings.every is not None:
        return Every(settings.every)
    assert settings.cron is not None, "TaskSettings takes exactly one of every and cron"
    return Cron(settings.cron, settings.timezone)
