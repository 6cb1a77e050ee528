"""Tasks, runs and nodes over HTTP, with rows that the real functions wrote."""

import json
import re
from datetime import UTC, datetime

import pytest
from http_service import Service

from server.cron.catalogue import Catalogue

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
RUN = {
    "id", "task", "node", "status", "trigger", "scheduledFor", "startedAt", "finishedAt", "durationSeconds",
    "latenessSeconds", "attempt", "progress", "result", "error", "predecessor", "successor",
}  # fmt: skip


async def task(service, name: str):
    return await service.get(f"/tasks/{name}")


# Tasks


@pytest.mark.gen_test
async def test_a_task_shows_its_definition_its_owner_and_its_next_time(service, cluster):
    found = await task(service, "backup")
    assert set(found) == {
        "name",
        "function",
        "schedule",
        "paused",
        "owner",
        "nextRunAt",
        "running",
        "lastRun",
        "skippedTicks",
        "lastSkip",
        "retiredAt",
    }
    assert (found["name"], found["function"], found["paused"]) == ("backup", "server.jobs.pi:run", False)
    assert found["schedule"] == "every minute"
    assert MOMENT.fullmatch(found["nextRunAt"])
    assert found["running"] is None
    assert found["lastRun"] is None
    assert (found["skippedTicks"], found["lastSkip"], found["retiredAt"]) == (0, None, None)


@pytest.mark.gen_test
async def test_the_list_holds_every_task_by_name_as_the_single_one_shows_it(service, cluster):
    tasks = (await service.get("/tasks"))["tasks"]
    assert [found["name"] for found in tasks] == ["backup", "report", "sweep"]
    assert tasks == [await task(service, name) for name in ("backup", "report", "sweep")]


@pytest.mark.gen_test
async def test_owners_are_spread_evenly_and_equal_what_nodes_say_they_own(service, cluster):
    owners = {found["name"]: found["owner"] for found in (await service.get("/tasks"))["tasks"]}
    assert sorted(owners.values()) == ["node-1", "node-2", "node-3"]
    nodes = (await service.get("/nodes"))["nodes"]
    assert {name: node["name"] for node in nodes for name in node["owns"]} == owners


@pytest.mark.gen_test
async def test_draining_expired_and_dead_nodes_own_nothing(service, cluster):
    cluster.one("select drain_node('node-1', %s) is null", cluster.incarnations["node-1"])
    cluster.expire("node-2")
    assert {found["owner"] for found in (await service.get("/tasks"))["tasks"]} == {"node-3"}
    cluster.one("select dead_nodes from sweep()")
    nodes = {node["name"]: node for node in (await service.get("/nodes"))["nodes"]}
    assert [nodes[f"node-{n}"]["state"] for n in (1, 2, 3)] == ["draining", "dead", "live"]
    assert (nodes["node-1"]["owns"], nodes["node-2"]["owns"]) == ([], [])
    assert nodes["node-2"]["leaseSeconds"] == 0
    cluster.expire("node-3")
    assert {found["owner"] for found in (await service.get("/tasks"))["tasks"]} == {None}


@pytest.mark.gen_test
async def test_a_task_belongs_only_to_nodes_that_know_it(service, cluster):
    cluster.join("node-4", tasks=["new"])
    cluster.define(Catalogue.from_settings(service.settings), "new", "unknown")
    owners = {found["name"]: found["owner"] for found in (await service.get("/tasks"))["tasks"]}
    assert owners["new"] == "node-4"
    assert owners["unknown"] is None
    assert "node-4" not in {owners["backup"], owners["report"], owners["sweep"]}


@pytest.mark.gen_test
async def test_a_running_task_shows_where_it_runs_and_its_time_moves_on(service, cluster):
    run_id = cluster.start("backup", "node-2")
    running = (await task(service, "backup"))["running"]
    assert set(running) == {"runId", "node", "host", "pid", "startedAt", "elapsedSeconds", "progress"}
    assert (running["runId"], running["node"], running["host"], running["pid"]) == (
        run_id,
        "node-2",
        "host-a",
        4711,
    )
    assert running["progress"] is None
    assert 0 <= running["elapsedSeconds"] < (await task(service, "backup"))["running"]["elapsedSeconds"]

    progress = '{"done": 3, "total": 10, "message": "x"}'
    cluster.one(
        "select report_progress(%s, %s, %s::jsonb[])", cluster.incarnations["node-2"], [run_id], [progress]
    )
    assert (await task(service, "backup"))["running"]["progress"] == json.loads(progress)
    nodes = {node["name"]: node["runs"] for node in (await service.get("/nodes"))["nodes"]}
    assert nodes == {"node-1": [], "node-2": [run_id], "node-3": []}


@pytest.mark.gen_test
async def test_the_last_run_is_the_newest_that_has_ended(service, cluster):
    first = cluster.start("backup", "node-1")
    cluster.finish(first, "node-1", "failed", error="boom")
    cluster.one("select run_task('backup')")
    cluster.start("backup", "node-1")
    found = await task(service, "backup")
    assert set(found["lastRun"]) == RUN
    assert (found["lastRun"]["id"], found["lastRun"]["status"], found["lastRun"]["error"]) == (
        first,
        "failed",
        "boom",
    )
    assert found["running"]["runId"] > first


@pytest.mark.gen_test
async def test_every_node_tells_the_same(service, cluster, database, tmp_path):
    cluster.start("backup", "node-1")
    other = Service(database, tmp_path, name="node-2")
    await other.start()
    try:
        for path in ("/tasks", "/nodes", "/runs"):
            first, second = await service.get(path), await other.get(path)
            assert without_clocks(first) == without_clocks(second)
    finally:
        await other.stop()


def without_clocks(value):
    """The answer without what moves from one moment to the next."""
    if isinstance(value, dict):
        return {
            name: without_clocks(inner)
            for name, inner in value.items()
            if name not in {"elapsedSeconds", "leaseSeconds"}
        }
    return [without_clocks(inner) for inner in value] if isinstance(value, list) else value


# Runs


@pytest.mark.gen_test
async def test_a_run_shows_all_of_itself_and_alone_its_output_too(service, cluster):
    run_id = cluster.start("backup", "node-1")
    (running,) = (await service.get("/runs"))["runs"]
    assert set(running) == RUN
    assert (running["status"], running["trigger"], running["attempt"]) == ("running", "schedule", 1)
    assert running["finishedAt"] is running["durationSeconds"] is running["result"] is None

    cluster.finish(
        run_id, "node-1", result='{"sum": 123456789012345678901234567890, "e": 1.10}', output="line\n"
    )
    answer = await service.call("GET", f"/runs/{run_id}")
    run = answer.json
    assert set(run) == RUN | {"output"}
    assert (run["id"], run["task"], run["node"], run["status"]) == (run_id, "backup", "node-1", "succeeded")
    assert run["output"] == "line\n"
    assert b"123456789012345678901234567890" in answer.body
    assert all(MOMENT.fullmatch(run[name]) for name in ("scheduledFor", "startedAt", "finishedAt"))
    started, finished = (datetime.fromisoformat(run[name]) for name in ("startedAt", "finishedAt"))
    assert run["durationSeconds"] == pytest.approx((finished - started).total_seconds(), abs=1e-6)
    assert "output" not in (await service.get("/runs"))["runs"][0]


@pytest.mark.gen_test
async def test_a_lost_run_knows_its_successor_and_that_one_its_predecessor(service, cluster):
    lost = cluster.start("backup", "node-1")
    cluster.expire("node-1")
    cluster.one("select lost_runs from sweep()")
    again = cluster.start("backup", "node-2")
    newest, oldest = (await service.get("/runs"))["runs"]
    assert (oldest["id"], oldest["status"], oldest["successor"], oldest["predecessor"]) == (
        lost,
        "lost",
        again,
        None,
    )
    assert (newest["id"], newest["trigger"], newest["predecessor"], newest["successor"]) == (
        again,
        "lost",
        lost,
        None,
    )
    assert (await service.get(f"/runs/{lost}"))["successor"] == again
    assert (await task(service, "backup"))["lastRun"]["successor"] == again


@pytest.fixture
def history(cluster):
    """Ten ended runs of two tasks on two nodes, one an hour from midnight on, and the ids oldest first."""
    for n in range(10):
        cluster.as_owner(
            """insert into runs (task_name, node_name, incarnation, status, trigger, scheduled_for, started_at,
                                 finished_at, attempt)
               values (%s, %s, 1, %s, 'schedule', %s, %s, %s, 1)""",
            ("backup", "report")[n % 2],
            ("node-1", "node-2")[n // 5],
            "failed" if n == 3 else "succeeded",
            *[datetime(2026, 1, 1, n, tzinfo=UTC)] * 2,
            datetime(2026, 1, 1, n, 30, tzinfo=UTC),
        )
    return [row[0] for row in cluster.connection.execute("select id from runs order by id")]


@pytest.mark.gen_test
async def test_filters_pick_runs_and_together_narrow_them(service, history):
    for query, places in (
        ("", range(10)),
        ("task=backup", (0, 2, 4, 6, 8)),
        ("node=node-2", range(5, 10)),
        ("status=failed", (3,)),
        ("since=2026-01-01T07:00:00Z", (7, 8, 9)),
        ("until=2026-01-01T02:00:00Z", (0, 1)),
        ("since=2026-01-01T03:00:00%2B02:00&until=2026-01-01T03:00:00Z", (1, 2)),
        ("task=report&node=node-1&status=succeeded", (1,)),
        ("task=nobody", ()),
        ("status=lost", ()),
    ):
        page = await service.get(f"/runs?{query}")
        assert [run["id"] for run in page["runs"]] == [history[place] for place in reversed(places)], query
        assert page["next"] is None
    assert (await service.get("/runs"))["runs"][0]["durationSeconds"] == 1800


@pytest.mark.gen_test
async def test_pages_of_runs_follow_each_other_without_gap_or_repetition(service, cluster, history):
    seen, path = [], "/runs?limit=2&task=backup"
    page = await service.get(path)
    while True:
        seen += [run["id"] for run in page["runs"]]
        if page["next"] is None:
            break
        assert len(page["runs"]) == 2
        page = await service.get(f"{path}&cursor={page['next']}")
        if len(seen) == 2:
            cluster.start("backup", "node-1")  # newer than the page before, so on none that follow
    assert seen == [history[place] for place in (8, 6, 4, 2, 0)]
    exactly = await service.get("/runs?limit=5&task=report")
    assert (len(exactly["runs"]), exactly["next"]) == (5, None)


@pytest.mark.gen_test
async def test_wrong_filters_are_all_named(service):
    answer = await service.call(
        "GET",
        "/runs?task=%00&node=a/b&status=done&since=yesterday&until=now&limit=0&cursor=x&order=asc&limit=2",
    )
    assert answer.is_problem(422, "invalid_request")
    named = {error["parameter"] for error in answer.json["errors"]}
    assert named == {"task", "node", "status", "since", "until", "limit", "cursor", "order"}


@pytest.mark.gen_test
async def test_what_is_not_there_is_a_404_and_what_can_be_no_id_is_named(service):
    for path in (
        "/tasks/nothing",
        "/tasks/%00",
        "/tasks/a%2Fb",
        "/tasks/" + "x" * 200,
        "/tasks/%F0%9F%92%B0",
    ):
        assert (await service.call("GET", path)).is_problem(404, "task_not_found")
    assert (await service.call("GET", "/runs/7")).is_problem(404, "run_not_found")
    for text in ("abc", "0", "99999999999999999999999"):
        assert (await service.call("GET", f"/runs/{text}")).is_problem(422, "invalid_request")
        assert (await service.call("POST", f"/runs/{text}/cancel", b"")).is_problem(422, "invalid_request")


# Nodes


@pytest.mark.gen_test
async def test_a_node_shows_who_it_is_and_what_is_left_of_its_lease(service, cluster):
    node = (await service.get("/nodes"))["nodes"][0]
    assert set(node) == {
        "name", "state", "incarnation", "host", "pid", "url", "version", "startedAt", "leaseSeconds", "owns", "runs",
    }  # fmt: skip
    assert (node["name"], node["state"], node["host"], node["pid"]) == ("node-1", "live", "host-a", 4711)
    assert node["incarnation"] == cluster.incarnations["node-1"]
    assert 10 < node["leaseSeconds"] <= 15
    assert MOMENT.fullmatch(node["startedAt"])
