"""What operators do with tasks and runs over HTTP: run now, pause, resume, cancel."""

from datetime import timedelta

import pytest
from cluster_rows import FAR


@pytest.mark.gen_test
async def test_run_now_makes_a_task_due_at_once(service, cluster):
    cluster.finish(cluster.start("backup", "node-1"), "node-1")
    for _ in range(2):
        answer = await service.call("POST", "/tasks/backup/run", b"")
        assert (answer.status, answer.json["name"]) == (202, "backup")
    due = "select due_trigger from tasks where name = 'backup' and due_at <= clock_timestamp()"
    assert cluster.one(due) == "manual"


@pytest.mark.gen_test
async def test_a_running_or_paused_task_cannot_be_run_now(service, cluster):
    cluster.start("backup", "node-1")
    assert (await service.call("POST", "/tasks/backup/run", b"")).is_problem(409, "task_refused")
    await service.call("POST", "/tasks/report/pause", b"")
    assert (await service.call("POST", "/tasks/report/run", b"")).is_problem(409, "task_refused")


@pytest.mark.gen_test
async def test_a_paused_task_has_no_next_time_until_it_is_resumed(service, cluster):
    paused = await service.call("POST", "/tasks/backup/pause", {})
    assert (paused.status, paused.json["paused"], paused.json["nextRunAt"]) == (200, True, None)
    resumed = await service.call("POST", "/tasks/backup/resume", b"")
    assert (resumed.status, resumed.json["paused"]) == (200, False)
    assert resumed.json["nextRunAt"] is not None


@pytest.mark.gen_test
async def test_a_resumed_task_goes_on_at_the_first_time_to_come_on_its_old_grid(service, cluster):
    stood_at = cluster.one("select clock_timestamp()") - timedelta(seconds=3 * 60 + 20)
    cluster.as_owner("update tasks set next_run_at = %s", stood_at)
    for name in ("backup", "report"):
        await service.call("POST", f"/tasks/{name}/pause", b"")
        await service.call("POST", f"/tasks/{name}/resume", b"")
    stood, next_of_known, next_of_unknown = (
        cluster.one("select next_run_at from tasks where name = %s", name)
        for name in ("sweep", "backup", "report")
    )
    assert next_of_known - stood == timedelta(minutes=4)
    # This node can't read the definition of the other, and leaves its time to its owner.
    assert next_of_unknown == stood


@pytest.mark.gen_test
async def test_resuming_before_the_next_time_keeps_it(service, cluster):
    cluster.as_owner("update tasks set next_run_at = %s", FAR)
    await service.call("POST", "/tasks/backup/pause", b"")
    answer = await service.call("POST", "/tasks/backup/resume", b"")
    assert answer.json["nextRunAt"] == "2100-01-01T00:00:00.000000Z"


@pytest.mark.gen_test
async def test_cancelling_asks_the_holder_of_a_run_once_and_an_ended_one_is_refused(service, cluster):
    run_id = cluster.start("backup", "node-1")
    for _ in range(2):
        answer = await service.call("POST", f"/runs/{run_id}/cancel", b"")
        assert (answer.status, answer.json["id"], answer.json["status"]) == (202, run_id, "running")
    assert cluster.one("select cancel_requested_at is not null from runs where id = %s", run_id)
    cluster.finish(run_id, "node-1", "cancelled")
    assert (await service.call("POST", f"/runs/{run_id}/cancel", b"")).is_problem(409, "task_refused")


@pytest.mark.gen_test
async def test_operator_actions_on_nothing_are_404_and_take_no_members(service, cluster):
    for action in ("run", "pause", "resume"):
        assert (await service.call("POST", f"/tasks/nothing/{action}", b"")).is_problem(404, "task_not_found")
        assert (await service.call("POST", f"/tasks/%00/{action}", b"")).is_problem(404, "task_not_found")
        answer = await service.call("POST", f"/tasks/backup/{action}", {"force": True})
        assert answer.is_problem(422, "invalid_request")
        assert (await service.call("GET", f"/tasks/backup/{action}")).is_problem(405, "method_not_allowed")
    assert (await service.call("POST", "/runs/7/cancel", b"")).is_problem(404, "run_not_found")
    assert (await service.get("/tasks/backup"))["paused"] is False
