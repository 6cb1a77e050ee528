"""The keys of a task, and the form in which its definition is kept."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

from server.cron.catalogue import Catalogue
from server.settings import Settings, TaskSettings

LEAST = {"function": "jobs:work", "every": "5m"}


def settings(**changes) -> TaskSettings:
    return TaskSettings.model_validate(LEAST | changes)


def test_by_default_a_job_has_a_process_all_the_memory_and_five_seconds_before_a_retry():
    found = settings()
    assert (found.isolation, found.memory_bytes_max, found.retry_after_seconds) == ("process", None, 5)


def test_durations_and_sizes_are_read_as_people_write_them():
    found = settings(retry_after="1m30s", memory_max="512MiB", isolation="process")
    assert (found.retry_after_seconds, found.memory_bytes_max) == (90, 512 << 20)
    assert settings(memory_max=None).memory_bytes_max is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"isolation": "thread"}, "'process' or 'loop'"),
        ({"retry_after": 0}, "not a duration"),
        ({"memory_max": "much"}, "expected a number of bytes, or text such as '512MiB'"),
        ({"memory_max": "1MiB"}, "from 67108864 to"),
        ({"memory_max": "1GiB", "isolation": "loop"}, "a job in the loop shares its node's memory"),
    ],
)
def test_a_wrong_key_is_refused_with_one_reason(changes, reason):
    with pytest.raises(ValidationError) as caught:
        settings(**changes)
    (fault,) = caught.value.errors()
    assert reason in fault["msg"]


@pytest.mark.parametrize("changes", [{}, {"isolation": "loop", "retry_after": 7}, {"memory_max": "1GiB"}])
def test_a_definition_is_read_back_as_it_was_written(changes):
    written = settings(**changes)
    assert TaskSettings.model_validate(json.loads(json.dumps(written.definition()))) == written


def test_what_a_release_before_did_not_know_is_told_only_where_it_is_used():
    before = {"function", "every", "cron", "timezone", "first", "jitter_seconds", "missed", "timeout_seconds",
              "retries", "paused", "params"}  # fmt: skip
    assert settings().definition().keys() == before
    assert settings(isolation="loop").definition().keys() == before | {"isolation"}


def test_a_node_runs_a_task_in_the_loop_as_the_database_defines_it():
    found = Catalogue.from_settings(Settings(home=Path("/"), source="", tasks={"job": settings()}))
    other = Catalogue.from_settings(
        Settings(home=Path("/"), source="", tasks={"job": settings(isolation="loop")})
    )
    row = other.tasks["job"].for_database(1, datetime(2026, 1, 1, tzinfo=UTC))
    counting = found.counting("job", row["definition"], row["hash"])
    assert counting is not None
    assert counting.settings.isolation == "loop"
