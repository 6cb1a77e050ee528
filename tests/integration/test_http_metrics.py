"""GET /metrics of one node's HTTP side: money, connections, and what the database knows."""

import asyncio
import os
import signal
from contextlib import contextmanager
from time import monotonic

import pytest
from http_service import JSON, frozen_backend, until
from prometheus_client.parser import text_string_to_metric_families

from server.web.metrics.facts import FACTS_SECONDS_KEPT, FACTS_SECONDS_MAX


async def scraped(service) -> dict[tuple[str, ...], float]:
    """Every sample by its name and the values of its labels, these by the labels' names."""
    answer = await service.call("GET", "/metrics")
    assert answer.status == 200
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.body.decode())
        for sample in family.samples
    }


@contextmanager
def silent_pool(database):
    """The server processes behind the shared pool stand still meanwhile."""
    with database.connect() as asking:
        pids = [
            pid
            for (pid,) in asking.execute(
                "select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
            )
        ]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


@pytest.mark.gen_test
async def test_it_says_which_instance_answered(service):
    found = await scraped(service)
    assert [labels for name, *labels in found if name == "ringfence_instance_info"] == [["node-1", "0.1.0"]]


@pytest.mark.gen_test
async def test_batches_are_counted_by_their_sizes_and_the_database_is_timed(service):
    body = {"userId": 1, "amount": 1}
    await asyncio.gather(*(service.call("POST", "/withdraw", body) for _ in range(100)))
    found = await scraped(service)
    assert found["ringfence_money_movements_total",] == found["ringfence_money_batch_movements_sum",] == 100
    assert found["ringfence_money_batches_total",] == found["ringfence_money_batch_movements_count",]
    assert found["ringfence_database_call_seconds_count", "money"] >= found["ringfence_money_batches_total",]
    assert found["ringfence_database_call_seconds_sum", "money"] > 0
    assert found["ringfence_money_queue_movements",] == found["ringfence_money_queue_age_seconds",] == 0
    assert found["ringfence_money_reachable",] == 1


@pytest.mark.gen_test
async def test_what_waits_shows_with_its_age_and_refusals_with_their_code(hasty_service):
    service = hasty_service
    await service.call("POST", "/withdraw", {"userId": 1, "amount": 1})
    with frozen_backend(service):
        call = {"userId": 1, "amount": 1}
        calls = [asyncio.ensure_future(service.call("POST", "/withdraw", call))]
        await until(lambda: service.batcher.under_way)
        calls += [asyncio.ensure_future(service.call("POST", "/withdraw", call)) for _ in range(2)]
        await until(lambda: service.batcher.waiting.movements == 2)
        waiting = await scraped(service)
        await asyncio.gather(*calls)
    assert waiting["ringfence_money_queue_movements",] == 2
    assert waiting["ringfence_money_sent_movements",] == 1
    assert waiting["ringfence_money_queue_age_seconds",] > 0
    found = await scraped(service)
    assert found["ringfence_http_problems_total", "outcome_unknown"] == 1
    assert found["ringfence_money_repeats_total", "connection_lost"] >= 1


@pytest.mark.gen_test
async def test_a_problem_is_counted_by_its_code_on_both_ways(service):
    await service.call("POST", "/withdraw", b"{", JSON)
    await service.call("GET", "/users/999")
    await service.call("GET", "/nowhere")
    found = await scraped(service)
    for code in ("invalid_json", "user_not_found", "not_found"):
        assert found["ringfence_http_problems_total", code] == 1


@pytest.mark.gen_test
async def test_a_database_that_says_nothing_delays_a_scrape_by_its_second_and_is_told(service, database):
    await service.get("/users/1")
    with silent_pool(database):
        began = monotonic()
        found = await scraped(service)
        took = monotonic() - began
    await asyncio.wait([task for task in asyncio.all_tasks() if "FactsCollector" in repr(task)])
    assert FACTS_SECONDS_MAX <= took < FACTS_SECONDS_MAX + 8
    assert found["ringfence_database_reachable",] == 0
    assert ("ringfence_database_facts_age_seconds",) not in found
    assert found["ringfence_http_request_seconds_count", "GET", "/users/{userId}", "200"] == 1


@pytest.mark.gen_test
async def test_many_scrapes_ask_the_database_once(service):
    await service.call("GET", "/metrics")
    asked_at, before = monotonic(), service.database.call_seconds.count
    await asyncio.gather(*(service.call("GET", "/metrics") for _ in range(20)))
    # Only a machine that takes so long for it may have asked anew.
    assert service.database.call_seconds.count == before or monotonic() - asked_at > FACTS_SECONDS_KEPT / 2


@pytest.mark.gen_test
async def test_a_listener_in_a_long_transaction_shows_in_the_queue_of_notifications(service, database):
    with database.connect() as listener, database.connect() as speaker:
        listener.execute("listen something")
        listener.execute("begin")
        listener.execute("select 1")
        speaker.execute(
            "select pg_notify('something', repeat('x', 7000) || n) from generate_series(1, 100) as n"
        )
        found = await scraped(service)
        listener.execute("rollback")
    assert 0 < found["ringfence_database_notify_queue_usage_ratio",] < 0.1
    assert found["ringfence_database_oldest_transaction_seconds",] > 0


@pytest.mark.gen_test
async def test_the_database_tells_of_its_sessions_and_of_our_tables(service):
    found = await scraped(service)
    assert (
        0
        < found["ringfence_database_server_connections",]
        < found["ringfence_database_server_connections_max",]
    )
    for table in ("users", "entries", "runs", "events", "nodes", "tasks", "idempotency_keys"):
        assert found["ringfence_database_table_bytes", table] > 0
        assert found["ringfence_database_table_dead_rows", table] >= 0


@pytest.mark.gen_test
async def test_the_last_success_counts_and_without_one_the_age_is_that_of_the_oldest_failure(
    service, database
):
    with database.connect_as_owner() as owner:
        owner.execute(
            """
            insert into tasks (name, function, schedule, definition, definition_hash, revision, next_run_at)
            select name, 'm:f', 'every day', '{}', 'x', 1, now() + interval '1 day'
              from unnest(array['fails', 'succeeded', 'never ran']) as name
            """
        )
        owner.execute(
            """
            insert into runs (task_name, node_name, incarnation, status, trigger, scheduled_for, started_at,
                              finished_at, attempt)
            select task, 'node-1', 1, status, 'schedule', moment, moment, moment, 1
              from (
                  values ('succeeded', 'succeeded', now() - interval '500 s'),
                         ('succeeded', 'failed', now() - interval '100 s'),
                         ('fails', 'failed', now() - interval '900 s'),
                         ('fails', 'timed_out', now() - interval '50 s')
              ) as given (task, status, moment)
            """
        )
    found = await scraped(service)
    assert found["ringfence_task_last_success_age_seconds", "succeeded"] == pytest.approx(500, abs=20)
    assert found["ringfence_task_last_success_age_seconds", "fails"] == pytest.approx(900, abs=20)
    assert ("ringfence_task_last_success_age_seconds", "never ran") not in found


@pytest.mark.gen_test
async def test_open_connections_are_counted_and_so_are_those_that_make_room(service):
    _, writer = await service.connect()
    await until(lambda: len(service.door.patience.connections) >= 1)
    service.door.patience.make_room()
    found = await scraped(service)
    assert found["ringfence_http_connections",] >= 1
    assert found["ringfence_http_connections_closed_total", "room"] == 1
    assert found["ringfence_http_connections_closed_total", "refused"] == 0
    writer.close()
