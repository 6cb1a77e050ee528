"""GET /tasks/{name}/placement and GET /tasks?durations=: what explains a task to those who watch."""

import pytest


async def placement(service, name: str):
    return await service.get(f"/tasks/{name}/placement")


@pytest.mark.gen_test
async def test_it_names_the_owner_the_quota_and_how_every_node_ranks_the_task(service, cluster):
    for task in (await service.get("/tasks"))["tasks"]:
        found = await placement(service, task["name"])
        assert found["owner"] == task["owner"]
        assert (found["tasks"], found["nodes"], found["least"], found["most"]) == (3, 3, 1, 1)
        assert sorted(one["node"] for one in found["candidates"]) == ["node-1", "node-2", "node-3"]
        assert sorted(one["turn"] for one in found["candidates"]) == [1, 2, 3]
        assert all(one["knows"] and 1 <= one["rank"] <= 3 for one in found["candidates"])


@pytest.mark.gen_test
async def test_whoever_ranks_it_higher_than_its_owner_has_its_share_and_the_reason_says_so(service, cluster):
    reasons = set()
    for name in ("backup", "report", "sweep"):
        found = await placement(service, name)
        rank = {one["node"]: one["rank"] for one in found["candidates"]}
        higher = [node for node in rank if rank[node] < rank[found["owner"]]]
        assert all(one["owns"] == found["most"] for one in found["candidates"] if one["node"] in higher)
        assert all(node in found["reason"] for node in [*higher, found["owner"]])
        assert ("No node ranks it higher" in found["reason"]) == (not higher)
        reasons.add(bool(higher))
    assert False in reasons


@pytest.mark.gen_test
async def test_nodes_that_do_not_know_the_task_or_are_dead_are_no_place_for_it(service, cluster):
    cluster.join("node-4", tasks=("other",))
    cluster.expire("node-1")
    cluster.one("select dead_nodes from sweep()")
    found = await placement(service, "report")
    by_node = {one["node"]: one for one in found["candidates"]}
    assert not by_node["node-4"]["knows"]
    assert by_node["node-4"]["rank"] is by_node["node-4"]["turn"] is None
    assert (by_node["node-1"]["state"], by_node["node-1"]["rank"]) == ("dead", None)
    assert "1 live node can't run it" in found["reason"]


@pytest.mark.gen_test
async def test_a_task_that_nobody_can_own_says_whom_it_waits_for(service, cluster):
    for node in ("node-1", "node-2", "node-3"):
        cluster.expire(node)
    found = await placement(service, "report")
    assert (found["owner"], found["tasks"], found["nodes"]) == (None, 0, 0)
    assert "node-1, node-2, node-3" in found["reason"]


@pytest.mark.gen_test
async def test_an_unknown_task_has_no_placement(service, cluster):
    for name in ("nothing", "no%20name"):
        answer = await service.call("GET", f"/tasks/{name}/placement")
        assert answer.is_problem(404, "task_not_found")


@pytest.mark.gen_test
async def test_tasks_tell_how_long_their_last_runs_took_where_it_is_asked_for(service, cluster):
    for seconds in range(1, 5):
        run = cluster.start("report", "node-1")
        cluster.finish(run, "node-1")
        cluster.as_owner(
            "update runs set started_at = finished_at - make_interval(secs => %s) where id = %s", seconds, run
        )
        cluster.as_owner("update tasks set next_run_at = clock_timestamp() where name = 'report'")
    cluster.start("report", "node-1")
    tasks = {task["name"]: task for task in (await service.get("/tasks?durations=3"))["tasks"]}
    assert tasks["report"]["durations"] == [2, 3, 4]
    assert tasks["sweep"]["durations"] == []
    assert all("durations" not in task for task in (await service.get("/tasks"))["tasks"])


@pytest.mark.parametrize("durations", ["0", "101", "many"])
@pytest.mark.gen_test
async def test_of_a_hundred_runs_at_most(service, durations):
    answer = await service.call("GET", f"/tasks?durations={durations}")
    assert answer.is_problem(422, "invalid_request")
