"""When a task that nobody names is retired: only by one who has watched for long enough."""

import pytest

from server.cron.retirement import GAP_SECONDS_MAX, Forgotten

TASKS = ["backup", "report"]


@pytest.fixture
def forgotten() -> Forgotten:
    """Patience of 12 s, and a first look at which nobody knew `backup`."""
    one = Forgotten(12.0)
    assert one.look(TASKS, {"report"}, 100.0) == []
    return one


def test_a_task_that_no_member_knew_for_the_whole_time_is_retired(forgotten: Forgotten) -> None:
    assert forgotten.look(TASKS, {"report"}, 111.9) == []
    assert forgotten.look(TASKS, {"report"}, 112.0) == ["backup"]


def test_a_node_that_knows_it_meanwhile_begins_the_time_anew(forgotten: Forgotten) -> None:
    assert forgotten.look(TASKS, {"report", "backup"}, 105.0) == []
    assert forgotten.look(TASKS, {"report"}, 110.0) == []
    assert forgotten.look(TASKS, {"report"}, 121.9) == []
    assert forgotten.look(TASKS, {"report"}, 122.0) == ["backup"]


def test_whoever_did_not_look_for_a_while_begins_anew(forgotten: Forgotten) -> None:
    late = 100.1 + GAP_SECONDS_MAX
    assert forgotten.look(TASKS, {"report"}, late) == []
    assert forgotten.look(TASKS, {"report"}, late + 12.0) == ["backup"]


def test_a_retired_task_is_not_retired_again(forgotten: Forgotten) -> None:
    assert forgotten.look(TASKS, {"report"}, 112.0) == ["backup"]
    assert forgotten.look(["report"], {"report"}, 113.0) == []
    assert forgotten.look(TASKS, {"report"}, 114.0) == [], "it was back, and its time begins anew"
