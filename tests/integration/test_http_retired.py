"""Over HTTP: tasks that are retired, ticks that were skipped, and how late runs began."""

from datetime import timedelta

import pytest
from cluster_rows import FAR


@pytest.fixture
def retired(cluster):
    """`backup` has run once, and no node that lives names it any more."""
    cluster.finish(cluster.start("backup", "node-1"), "node-1")
    for name in ("node-1", "node-2", "node-3"):
        cluster.one("select leave_cluster(%s, %s)", name, cluster.incarnations[name])
    cluster.join("node-4", tasks=("report", "sweep"))
    assert cluster.one("select retire_task('backup')") is True
    return cluster


@pytest.mark.gen_test
async def test_a_retired_task_is_shown_as_such_without_an_owner_or_a_next_time(service, retired):
    found = await service.get("/tasks/backup")
    assert found["retiredAt"] is not None
    assert (found["owner"], found["nextRunAt"], found["running"]) == (None, None, None)
    assert found["lastRun"]["status"] == "succeeded"
    assert [one["name"] for one in (await service.get("/tasks"))["tasks"]] == ["backup", "report", "sweep"]
    assert [node["owns"] for node in (await service.get("/nodes"))["nodes"]] == [["report", "sweep"]]


@pytest.mark.gen_test
async def test_the_history_of_a_retired_task_stays(service, retired):
    assert [run["status"] for run in (await service.get("/runs?task=backup"))["runs"]] == ["succeeded"]


@pytest.mark.gen_test
async def test_a_retired_task_cannot_be_run_and_may_be_paused_for_its_return(service, retired):
    assert (await service.call("POST", "/tasks/backup/run", b"")).is_problem(409, "task_refused")
    answer = await service.call("POST", "/tasks/backup/pause", b"")
    assert (answer.status, answer.json["paused"]) == (200, True)
    answer = await service.call("POST", "/tasks/backup/resume", b"")
    assert (answer.status, answer.json["paused"], answer.json["nextRunAt"]) == (200, False, None)


@pytest.mark.gen_test
async def test_skipped_ticks_are_shown_with_their_number_and_the_last_time_and_reason(service, cluster):
    expected = cluster.one("select next_run_at from tasks where name = 'backup'")
    cluster.one("select skip_tick('backup', %s, %s, 'still running (2 ticks)', 2)", expected, FAR)
    for found in (await service.get("/tasks/backup"), (await service.get("/tasks"))["tasks"][0]):
        assert found["skippedTicks"] == 2
        assert found["lastSkip"]["reason"] == "still running (2 ticks)"
        assert found["lastSkip"]["at"].endswith("Z")


@pytest.mark.gen_test
async def test_a_run_says_how_late_it_began_on_the_databases_clock(service, cluster):
    due = cluster.one("select clock_timestamp()") - timedelta(seconds=90)
    cluster.as_owner("update tasks set next_run_at = %s where name = 'backup'", due)
    run_id = cluster.start("backup", "node-1")
    cluster.finish(run_id, "node-1")
    run = await service.get(f"/runs/{run_id}")
    assert 90 <= run["latenessSeconds"] < 120
    assert (await service.get("/runs"))["runs"][0]["latenessSeconds"] == run["latenessSeconds"]
    assert (await service.get("/tasks/backup"))["lastRun"]["latenessSeconds"] == run["latenessSeconds"]


@pytest.mark.gen_test
async def test_a_retrys_lateness_counts_from_the_end_of_its_pause(service, cluster):
    first = cluster.start("backup", "node-1")
    cluster.one(
        "select finish_run(%s, %s, 'failed', null, null, null, interval '-40 s')",
        first,
        cluster.incarnations["node-1"],
    )
    retry = await service.get(f"/runs/{cluster.start('backup', 'node-2')}")
    assert retry["trigger"] == "retry"
    assert 40 <= retry["latenessSeconds"] < 70
