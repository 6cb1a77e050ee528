"""A database that does not answer, to all nodes or to one, or not to one question."""

import signal

import pytest
from fleet import is_alive, overlaps, wait_until
from wire import Wire

from server.cluster.lease import boot_time

AWAY_SECONDS = 10.0
PATIENT_TTL_SECONDS = 17
"""Two more than what ships, for a machine that starves the node of its second until the soft stop.
That this second is left at every moment shows test_outage_of_ten_seconds.py, without a machine."""


@pytest.fixture
def wire(database):
    with Wire(database.application_url) as made:
        yield made


def test_a_database_that_is_silent_for_ten_seconds_costs_no_run_and_no_node_and_starts_nothing(
    wire, fleet, running, database, tmp_path
):
    witness = tmp_path / "witness.jsonl"
    witness.touch()

    def task(every: str, seconds: float) -> dict:
        params = {"path": str(witness), "seconds": seconds}
        return {"function": "witness:work", "every": every, "params": params}

    made = fleet(
        {"long": task("1h", 60), "longer": task("1h", 60), "short": task("1s", 0.2)},
        ttl=PATIENT_TTL_SECONDS,
        margin=2,
    )
    made.witness, made.url = witness, wire.url
    made.start(1, 2)
    made.wait_ready()
    long = wait_until(
        lambda: (found := running()).keys() >= {"long", "longer"} and (found["long"], found["longer"]),
        30,
        "two long runs",
    )
    wire.silence()
    silent_at = boot_time()
    wait_until(lambda: boot_time() > silent_at + AWAY_SECONDS, 20, "an outage")
    wire.heal()
    healed_at = boot_time()
    told = [line for line in made.testimony() if silent_at + 2 < line["at"] < healed_at]
    wait_until(
        lambda: any(line["event"] == "start" and line["at"] > healed_at for line in made.testimony()),
        30,
        "starts again",
    )
    assert {line["run"] for line in told if line["event"] == "start"} == set()
    assert {line["run"] for line in told if line["at"] > healed_at - 2} == {run for run, _ in long}, "work"
    assert (running()["long"], running()["longer"]) == long
    with database.connect() as connection:
        assert connection.execute("select count(*) from events where event = 'dead'").fetchone() == (0,)
    assert overlaps(made.testimony()) == []


def test_a_node_cut_off_from_the_database_stops_its_runs_before_its_lease_ends_and_joins_again(
    wire, workers, running, database
):
    fleet = workers(4, seconds=60, settle=4)
    fleet.start(1)
    fleet.url = wire.url
    fleet.start(2)
    fleet.wait_ready()
    wait_until(lambda: [node for _, node in running().values()].count("node-2") == 2, 30, "runs on node 2")
    cut_off = {run for run, node in running().values() if node == "node-2"}
    wire.silence()
    wait_until(lambda: [node for _, node in running().values()] == ["node-1"] * 4, 30, "takeover")
    with database.connect() as connection:
        left = "select extract(epoch from lease_expires_at - clock_timestamp())::float8 from nodes where name = 'node-2'"
        lease_ends_at = boot_time() + connection.execute(left).fetchone()[0]
    assert boot_time() > lease_ends_at
    last = max(line["at"] for line in fleet.testimony() if line["run"] in cut_off)
    assert last < lease_ends_at - 1, "a job went on into the margin"
    assert {fleet.get(f"/runs/{run}", 1)["status"] for run in cut_off} == {"lost"}
    assert fleet.processes[2].poll() is None
    wire.heal()
    wait_until(
        lambda: (
            {node["name"]: node["state"] for node in fleet.get("/nodes", 1)["nodes"]}
            == {"node-1": "live", "node-2": "live"}
        ),
        30,
        "node 2 again",
    )
    assert overlaps(fleet.testimony()) == []
    told = fleet.metrics(2)
    assert told["ringfence_watchdog_stops_total", "soft"] == 1
    assert told["ringfence_joins_total",] == 2
    assert told["ringfence_heartbeats_failed_total",] > 1


def test_a_node_that_shall_stop_while_the_database_is_away_ends_and_leaves_its_runs_to_its_lease(
    wire, workers, running
):
    fleet = workers(1, seconds=60, settle=0.2, drain_seconds=0)
    fleet.url = wire.url
    fleet.start(1)
    fleet.wait_ready()
    wait_until(fleet.testimony, 30, "a job")
    wire.refuse()
    fleet.signal(1, signal.SIGTERM)
    assert fleet.wait_for_end(1, 30) == 0
    assert "endings could not be told" in fleet.log(1)
    assert {node for _, node in running().values()} == {"node-1"}


def test_a_run_whose_start_was_never_answered_is_ended_and_its_task_starts_again(wire, workers, running):
    fleet = workers(1, seconds=30)
    fleet.url = wire.url
    wire.lose_answer_to(b"start_run(")
    fleet.start(1)
    fleet.wait_ready()
    wait_until(fleet.testimony, 30, "a job")
    assert wire.answers_lost == 1
    ghost, run = sorted(fleet.runs(), key=lambda one: one["id"])
    assert (ghost["status"], ghost["successor"]) == ("interrupted", run["id"])
    assert "never began" in ghost["error"]
    assert (run["status"], run["trigger"], run["attempt"]) == ("running", "interrupted", 1)
    assert {line["run"] for line in fleet.testimony()} == {run["id"]}


def test_an_ending_whose_answer_was_lost_is_told_again_and_counts_once(wire, workers, database):
    fleet = workers(1, seconds=0.5)
    fleet.url = wire.url
    wire.lose_answer_to(b"finish_run(")
    fleet.start(1)
    fleet.wait_ready()
    wait_until(lambda: "answer=already" in fleet.log(1), 30, "the second telling")
    assert wire.answers_lost == 1
    assert [(run["status"], run["result"]) for run in fleet.runs()] == [("succeeded", {"seconds": 0.5})]
    with database.connect() as connection:
        told = connection.execute(
            "select event from events where channel = 'task_events' order by id"
        ).fetchall()
    assert told == [("started",), ("succeeded",)]


def test_an_interrupted_connection_of_each_kind_costs_no_run(workers, running, database):
    fleet = workers(2, seconds=60)
    fleet.start(1)
    fleet.wait_ready()
    before = wait_until(lambda: len(found := running()) == 2 and found, 30, "two runs")
    guardian = fleet.guardian_of(1)
    with database.connect() as connection:

        def terminate_all() -> bool:
            mine = "datname = current_database() and application_name like 'ringfence node-1%'"
            (found,) = connection.execute(f"select count(*) from pg_stat_activity where {mine}").fetchone()
            if found < 3:  # the pool, the heartbeat, the listener
                return False
            connection.execute(f"select pg_terminate_backend(pid) from pg_stat_activity where {mine}")
            return True

        for _ in range(3):
            wait_until(terminate_all, 20, "connections to terminate")
        beat = "select heartbeat_at from nodes"
        seen = connection.execute(beat).fetchone()
        wait_until(lambda: connection.execute(beat).fetchone() > seen, 10, "a heartbeat")
    assert running() == before
    assert is_alive(guardian)
