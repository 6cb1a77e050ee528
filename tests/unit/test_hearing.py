"""Which notifications make a node read the tasks at once."""

import json

import pytest

from server.cron.hearing import is_urgent
from server.web.event_kinds import KINDS

OWN = ("backup", "report")


def told(event: str, task: str) -> str:
    return json.dumps(
        {"id": 1, "event": event, "task": task, "run": 7, "node": "node-2", "at": "", "detail": None}
    )


@pytest.mark.parametrize("event", ["started", "succeeded"])
def test_the_ordinary_start_and_end_of_anothers_task_can_wait_and_of_an_own_one_can_not(event):
    assert not is_urgent(told(event, "sweep"), OWN)
    assert is_urgent(told(event, "backup"), OWN)


@pytest.mark.parametrize("event", sorted(set(KINDS) - {"started", "succeeded"}))
def test_whatever_else_happens_is_urgent_for_all(event):
    assert is_urgent(told(event, "sweep"), OWN)


@pytest.mark.parametrize("payload", ["", "sweep", "7", "[]", "{", "{}", json.dumps({"task": "sweep"})])
def test_what_is_not_understood_is_urgent(payload):
    assert is_urgent(payload, OWN)


def test_before_a_node_knows_what_is_its_own_everything_is_urgent():
    assert is_urgent(told("started", "sweep"), None)


def test_who_owns_nothing_has_nothing_urgent_about_anothers_everyday():
    assert not is_urgent(told("started", "sweep"), ())
