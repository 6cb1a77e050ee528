"""What a node writes of its configuration, and what it makes of the definitions of others."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from server.cron.catalogue import Catalogue, Task
from server.settings import Settings, TaskSettings

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def catalogue(**settings: Any) -> Catalogue:
    task = TaskSettings.model_validate({"function": "m:f", "every": "1h"} | settings)
    return Catalogue.from_settings(Settings(home=Path("/"), source="test", tasks={"backup": task}))


def task(**settings: Any) -> Task:
    return catalogue(**settings).tasks["backup"]


def first_run_at(**settings: Any) -> datetime:
    return datetime.fromisoformat(task(**settings).for_database(1, NOON)["firstRunAt"])


def next_run_at(**settings: Any) -> datetime:
    return datetime.fromisoformat(task(**settings).for_database(1, NOON)["nextRunAt"])


def test_a_key_that_came_later_is_left_out_while_it_has_its_default() -> None:
    known = set(TaskSettings.model_fields) - TaskSettings.ADDED
    assert set(task().definition) == known
    assert task().definition_hash == task(missed_max=100, missed_grace="60s").definition_hash
    chosen = task(missed="all", missed_max=7)
    assert set(chosen.definition) == known | {"missed_ticks_max"}
    assert chosen.definition_hash != task(missed="all").definition_hash


def test_a_definition_comes_back_from_the_database_as_the_same_task() -> None:
    written = task(missed="all", missed_max=7, missed_grace="5s", jitter="30s", timeout="1m", params={"a": 1})
    read = catalogue().counting("backup", written.definition, written.definition_hash)
    assert read is not None
    assert (read.settings, read.policy) == (written.settings, written.policy)
    assert (read.policy.ticks_max, read.policy.grace_seconds) == (7, 5.0)


def test_a_definition_that_only_a_newer_release_understands_is_not_run_here() -> None:
    newer = task().definition | {"moon_phase": "full"}
    assert catalogue().counting("backup", newer, "hash of it") is None
    assert catalogue().counting("unknown", task().definition, "x") is None


def test_a_new_task_is_due_at_once_and_one_with_jitter_after_its_own_part_of_it() -> None:
    assert first_run_at() == NOON
    own = timedelta(seconds=task(jitter="10m").policy.jitter_seconds)
    assert timedelta(0) < own < timedelta(minutes=10)
    assert first_run_at(jitter="10m") == NOON + own


def test_a_task_that_waits_for_its_first_time_has_its_jitter_added_to_that() -> None:
    own = timedelta(seconds=task(jitter="10m").policy.jitter_seconds)
    assert first_run_at(first="scheduled") == next_run_at() == NOON + timedelta(hours=1)
    assert first_run_at(first="scheduled", jitter="10m") == NOON + timedelta(hours=1) + own
    daily = {"every": None, "cron": "0 9 * * *", "first": "scheduled", "jitter": "10m"}
    assert first_run_at(**daily) == datetime(2026, 1, 2, 9, tzinfo=UTC) + own


def test_jitter_spreads_the_intervals_of_tasks_that_were_made_at_one_moment() -> None:
    settings = Settings(
        home=Path("/"),
        source="test",
        tasks={
            f"task-{n}": TaskSettings.model_validate({"function": "m:f", "every": "1h", "jitter": "1h"})
            for n in range(100)
        },
    )
    firsts = {
        one.for_database(1, NOON)["firstRunAt"] for one in Catalogue.from_settings(settings).tasks.values()
    }
    assert len(firsts) == 100
