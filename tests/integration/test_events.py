"""GET /events: what observers get, in which order, and that none of it is lost or repeated."""

import asyncio
import random
import threading

import psycopg
import pytest
from contract_check import events
from event_observer import Observer
from http_service import Service, until

from server.web import event_stream, feed

WRITERS = 3
EVENTS = 10_000
CUTS = 1_000
OBSERVERS = 8


def observe(service, query: str = "", last_id: int | None = None, **how) -> Observer:
    return Observer(service.port, query, last_id, **how)


@pytest.mark.gen_test(timeout=60)
async def test_an_observer_sees_what_happens_from_now_on(service, cluster):
    async with observe(service) as observer:
        await observer.begun()
        run_id = cluster.start("backup", "node-1")
        cluster.finish(run_id, "node-1", "failed", error="Traceback\nValueError: no")
        seen = [await observer.next(), await observer.next()]
    assert (observer.status, observer.headers["Content-Type"]) == (200, "text/event-stream")
    assert [event.kind for event in seen] == ["started", "failed"]
    assert seen[1].data == {
        "id": seen[1].id,
        "channel": "task_events",
        "event": "failed",
        "task": "backup",
        "run": run_id,
        "node": "node-1",
        "at": seen[1].data["at"],
        "detail": "ValueError: no",
    }
    assert seen[0].id < seen[1].id


@pytest.mark.gen_test(timeout=60)
async def test_since_brings_all_that_followed_and_zero_all_that_is_kept(service, cluster):
    for _ in range(3):
        cluster.one("select pause_task('backup')")
        cluster.one("select resume_task('backup', clock_timestamp())")
    with cluster.database.connect() as connection:
        kept = [one for (one,) in connection.execute("select id from events order by id").fetchall()]
    async with observe(service, "?since=0") as observer:
        assert [(await observer.next()).id for _ in kept] == kept
    async with observe(service, f"?since={kept[3]}") as observer:
        assert [(await observer.next()).id for _ in kept[4:]] == kept[4:]


@pytest.mark.gen_test(timeout=60)
async def test_who_does_not_follow_gets_what_there_is_and_an_end(service, cluster):
    for _ in range(3):
        cluster.one("select pause_task('backup')")
        cluster.one("select pause_task('sweep')")
        cluster.one("select resume_task('backup', clock_timestamp())")
    with cluster.database.connect() as connection:
        query = "select id from events where task = 'backup' order by id"
        kept = [one for (one,) in connection.execute(query).fetchall()]
    answer = await service.call("GET", "/events?since=0&task=backup&follow=false")
    assert [int(event["id"]) for event in events(answer.body.decode())] == kept
    last = await service.call("GET", "/events?follow=false")
    assert list(events(last.body.decode())) == []
    assert f"id: {cluster.one('select max(id) from events')}\n" in last.body.decode()
    assert service.feed.observers == 0


@pytest.mark.gen_test(timeout=60)
async def test_the_header_of_a_reconnecting_browser_counts_more_than_since(service, cluster):
    cluster.one("select pause_task('backup')")
    newest = cluster.one("select max(id) from events")
    async with observe(service, "?since=0", last_id=newest - 1) as observer:
        assert (await observer.next()).id == newest


@pytest.mark.gen_test(timeout=60)
async def test_filters_by_task_and_kind_leave_the_others_out(service, cluster):
    async with observe(service, "?task=report,sweep&kind=paused,joined") as observer:
        await observer.begun()
        cluster.one("select pause_task('backup')")
        cluster.start("report", "node-1")
        cluster.join("node-4")
        cluster.one("select pause_task('sweep')")
        event = await observer.next()
    assert (event.kind, event.data["task"]) == ("paused", "sweep")


@pytest.mark.gen_test(timeout=60)
async def test_progress_comes_without_an_id_and_only_when_it_changed(service, cluster):
    run_id = cluster.start("backup", "node-1")
    async with observe(service, "?kind=progress,paused") as observer:
        place = await observer.begun()
        for done in (1, 2):
            cluster.one(
                "select report_progress(%s, array[%s]::bigint[], array[%s]::jsonb[])",
                cluster.incarnations["node-1"], run_id, f'{{"done": {done}, "total": 2, "message": "m"}}',
            )  # fmt: skip
            event = await observer.next()
            assert (event.kind, event.id) == ("progress", None)
            assert event.data == {
                "event": "progress",
                "task": "backup",
                "run": run_id,
                "node": "node-1",
                "progress": {"done": done, "total": 2, "message": "m"},
            }
        assert observer.last_id == place
        # The next one that comes is no third report of the same.
        service.feed.wake()
        cluster.one("select pause_task('report')")
        assert (await observer.next()).kind == "paused"


@pytest.mark.gen_test(timeout=60)
async def test_a_place_that_was_pruned_or_never_was_is_answered_by_reset(service, cluster):
    cluster.one("select pause_task('backup')")
    cluster.as_owner("delete from events where id < (select max(id) from events)")
    newest = cluster.one("select max(id) from events")
    for place in (0, newest + 1000):
        async with observe(service, last_id=place) as observer:
            event = await observer.next()
            assert (event.kind, event.id, event.data["id"]) == ("reset", newest, newest)
            assert str(place) in event.data["detail"]
            # And it goes on from there.
            cluster.one("select resume_task('backup', clock_timestamp())")
            newest = (await observer.next()).id
            cluster.one("select pause_task('backup')")
            newest = (await observer.next()).id


@pytest.mark.gen_test(timeout=60)
async def test_a_database_that_lost_its_last_events_resets_whoever_saw_them(service, cluster):
    async with observe(service) as observer:
        await observer.begun()
        cluster.one("select pause_task('backup')")
        seen = (await observer.next()).id
        # As after a failover to a server that had not received them.
        cluster.as_owner("delete from events where id >= %s", seen)
        event = await observer.next()
        assert event.kind == "reset"
        assert event.id < seen


@pytest.mark.gen_test(timeout=60)
async def test_wrong_parameters_are_named(service, cluster):
    for query, parameter in (
        ("?since=-1", "since"),
        ("?since=x", "since"),
        ("?task=a%20b", "task"),
        ("?kind=begun", "kind"),
        ("?what=1", "what"),
    ):
        answer = await service.call("GET", f"/events{query}")
        assert answer.is_problem(422, "invalid_request"), query
        assert [error["parameter"] for error in answer.json["errors"]] == [parameter]
    answer = await service.call("GET", "/events", headers={"Last-Event-ID": "yesterday"})
    assert answer.json["errors"][0]["parameter"] == "Last-Event-ID"
    answer = await service.call("GET", "/events?since=-1", headers={"Last-Event-ID": "1"})
    assert answer.json["errors"][0]["parameter"] == "since"


@pytest.mark.gen_test(timeout=60)
async def test_head_tells_what_would_come_and_ends(service, cluster):
    answer = await service.call("HEAD", "/events")
    assert (answer.status, answer.headers["Content-Type"], answer.body) == (200, "text/event-stream", b"")


@pytest.mark.gen_test(timeout=60)
async def test_a_silent_stream_shows_signs_of_life_with_its_place(service, cluster, monkeypatch):
    monkeypatch.setattr(event_stream, "HEARTBEAT_SECONDS", 0.05)
    async with observe(service, "?kind=dead") as observer:
        place = await observer.begun()
        cluster.one("select pause_task('backup')")  # left out, but passed
        while observer.last_id == place:
            observer.comments = 0
            await observer.begun()
        assert observer.last_id == cluster.one("select max(id) from events")


@pytest.mark.gen_test(timeout=60)
async def test_who_does_not_read_is_cut_off_and_comes_back_to_its_place(service, cluster, monkeypatch):
    monkeypatch.setattr(event_stream, "WRITE_SECONDS_MAX", 0.2)
    async with observe(service, receive_bytes=4096) as observer:
        place = await observer.begun()
        write_events(cluster.database, 20_000)
        await until(lambda: service.feed.observers == 0)
        seen = []
        with pytest.raises((EOFError, ConnectionError, asyncio.IncompleteReadError, ValueError)):
            while True:
                seen.append((await observer.next()).id)
    newest = cluster.one("select max(id) from events")
    async with observe(service, last_id=seen[-1] if seen else place) as observer:
        while not seen or seen[-1] < newest:
            seen.append((await observer.next()).id)
    with cluster.database.connect() as connection:
        rows = connection.execute("select id from events where id > %s order by id", [place]).fetchall()
    assert seen[-len(rows) :] == [one for (one,) in rows]


@pytest.mark.gen_test(timeout=60)
async def test_a_node_that_stops_ends_its_streams_at_once(service, cluster):
    async with observe(service) as observer:
        await observer.begun()
        service.feed.close()
        with pytest.raises(EOFError):
            await observer.next()
    await until(lambda: service.feed.observers == 0)


@pytest.mark.gen_test(timeout=60)
async def test_more_observers_than_a_node_takes_are_told_to_try_again(service, cluster, monkeypatch):
    monkeypatch.setattr(event_stream, "OBSERVERS_MAX", 1)
    async with observe(service) as observer:
        await observer.begun()
        answer = await service.call("GET", "/events")
        assert answer.is_problem(503, "overloaded")
        assert "Retry-After" in answer.headers


@pytest.mark.gen_test(timeout=60)
async def test_metrics_count_observers_and_do_not_take_a_long_stream_for_a_slow_answer(service, cluster):
    async with observe(service) as observer:
        await observer.begun()
        text = (await service.call("GET", "/metrics")).body.decode()
        assert "ringfence_event_observers 1.0" in text
        await asyncio.sleep(0.3)  # what the stream lasts, and no answer took
    await until(lambda: service.feed.observers == 0)
    text = (await service.call("GET", "/metrics")).body.decode()
    total = next(line for line in text.splitlines() if "request_seconds_sum" in line and "/events" in line)
    assert float(total.split()[-1]) < 0.3


def write_events(database, number: int) -> None:
    """Events of several sessions at once, each in a transaction of its own."""

    def write(task: str) -> None:
        with psycopg.connect(database.direct_url, autocommit=True) as connection:
            connection.execute("set synchronous_commit = off")
            connection.execute(
                f"""
                do $$ begin
                    for i in 1..{number // WRITERS // 2} loop
                        perform pause_task('{task}');
                        commit;
                        perform resume_task('{task}', clock_timestamp());
                        commit;
                    end loop;
                end $$
                """
            )

    tasks = ["backup", "report", "sweep"]
    threads = [threading.Thread(target=write, args=[task]) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.gen_test(timeout=240)
async def test_observers_that_are_cut_off_again_and_again_lose_no_event_and_get_none_twice(
    service, cluster, database, tmp_path, monkeypatch
):
    # A short tail, so that pages from the table are read as well.
    monkeypatch.setattr(feed, "TAIL_EVENTS", 700)
    other = Service(database, tmp_path, name="node-2")
    await other.start()
    nodes = (service, other)
    start = cluster.one("select max(id) from events")
    writing = asyncio.create_task(asyncio.to_thread(write_events, database, EVENTS))
    final: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    luck = random.Random(7)
    cuts = 0

    async def follow() -> list[int]:
        nonlocal cuts
        seen: list[int] = []
        last_id = start
        while not (final.done() and last_id >= final.result()):
            async with observe(luck.choice(nodes), last_id=last_id) as observer:
                for _ in range(luck.randrange(2 * EVENTS * OBSERVERS // CUTS)):
                    if final.done() and last_id >= final.result():
                        break
                    event = await observer.next()
                    assert event.id is not None, event
                    seen.append(event.id)
                    last_id = event.id
                cuts += 1
        return seen

    following = [asyncio.create_task(follow()) for _ in range(OBSERVERS)]
    await writing
    final.set_result(cluster.one("select max(id) from events"))
    cluster.one("select pause_task('backup')")  # wakes whoever has seen all
    results = await asyncio.gather(*following)
    await other.stop()
    with database.connect() as connection:
        written = [
            one
            for (one,) in connection.execute(
                "select id from events where id > %s and id <= %s order by id", [start, final.result()]
            )
        ]
    assert len(written) >= EVENTS * 0.9
    assert cuts >= CUTS
    for seen in results:
        assert [one for one in seen if one <= final.result()] == written
