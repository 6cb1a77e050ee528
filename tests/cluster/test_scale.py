"""`ringfence scale`: another number of instances while the service serves."""

import fcntl
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from crowd import Crowd
from service import Service, product_environment, service_settings, until

TASKS = 8


@pytest.fixture
def service(tmp_path: Path, project: Path) -> Iterator[Service]:
    """Two instances with ports for four, and tasks that rest."""
    settings = service_settings(4)
    settings["cluster"] |= {"instances": 2, "settle": "50ms"}
    settings["tasks"] = {
        f"task-{number}": {"function": "server.jobs.pi:estimate_pi", "every": "1h", "first": "scheduled"}
        for number in range(TASKS)
    }
    one = Service(tmp_path, [sys.executable, "-m", "server"], settings, product_environment(project))
    yield one
    one.clean_up()


def scale(service: Service, number: int) -> None:
    done = service.run("scale", str(number))
    assert done.returncode == 0, done.stdout + done.stderr


def pids(service: Service) -> dict[str, int]:
    """The members that live and their processes, as the service tells it."""
    nodes = service.get("/nodes")[1]["nodes"]
    return {node["name"]: node["pid"] for node in nodes if node["state"] == "live"}


def live(service: Service) -> list[str]:
    return list(pids(service))


def owned(service: Service) -> dict[str, int]:
    """How many tasks each owner has."""
    owners = [task["owner"] for task in service.get("/tasks")[1]["tasks"]]
    return {name: owners.count(name) for name in sorted(set(owners))}


def balance(service: Service) -> int:
    return service.get("/users/1")[1]["balance"]


def names(count: int) -> list[str]:
    return [f"node-{number}" for number in range(1, count + 1)]


def told(pid: int) -> str:
    """How many instances a node was told that there are."""
    environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return next(one for one in environment if one.startswith(b"RINGFENCE__INSTANCES=")).decode()


def test_from_2_to_4_to_1_no_request_fails_and_members_and_owners_follow(service: Service) -> None:
    service.start()
    before = balance(service)
    stayed = pids(service)["node-1"]
    with Crowd(service) as crowd:
        scale(service, 4)
        assert live(service) == names(4)
        assert owned(service) == dict.fromkeys(names(4), TASKS // 4)
        scale(service, 1)
        until(lambda: live(service) == names(1), "one member is left")
        until(lambda: owned(service) == {"node-1": TASKS}, "it owns all tasks")
        so_far = len(crowd.succeeded)
        until(lambda: len(crowd.succeeded) > so_far + 20, "requests go on")
    assert crowd.failed == []
    assert set(crowd.succeeded) == {200}
    assert before - balance(service) == len(crowd.succeeded)
    assert pids(service) == {"node-1": stayed}, "what stays is not touched"


def test_restart_and_a_crash_after_it_know_the_new_number_and_a_later_up_the_configured_one(
    service: Service,
) -> None:
    service.start()
    scale(service, 3)
    before = pids(service)
    assert told(before["node-3"]) == "RINGFENCE__INSTANCES=3"
    done = service.run("restart")
    assert done.returncode == 0, done.stderr
    assert [f"Restarting {name}" in done.stdout for name in names(4)] == [True, True, True, False]
    assert live(service) == names(3)
    assert not set(pids(service).values()) & set(before.values())
    assert told(pids(service)["node-1"]) == "RINGFENCE__INSTANCES=3"
    scale(service, 1)
    assert service.run("restart").returncode == 0
    assert told(pids(service)["node-1"]) == "RINGFENCE__INSTANCES=1"
    service.signal(signal.SIGINT)
    assert service.end() == 0
    assert service.left() == {}
    service.start()
    until(lambda: live(service) == names(2), "both have joined")


def test_it_refuses_what_it_cannot_do_and_leaves_all_as_it_is(service: Service) -> None:
    nothing = service.run("scale", "3")
    assert (nothing.returncode, nothing.stderr) == (
        1,
        "ringfence: Nothing runs here: start it by `ringfence up`.\n",
    )
    service.start()
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", service.port + 4))
        holder.listen()
        taken = service.run("scale", "4")
    assert taken.returncode == 1
    assert f"port {service.port + 4} (node-4's own, http.port + 4) is taken" in taken.stderr
    with (service.folder / "var/run/instances.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        busy = service.run("restart")
    assert busy.returncode == 1
    assert "is at work here" in busy.stderr
    assert service.run("scale", "0").returncode == 2
    assert live(service) == names(2)


def test_an_instance_that_was_stopped_meanwhile_runs_again(service: Service) -> None:
    service.start()
    service.control("stop", "node:node-2")
    assert live(service) == names(1)
    scale(service, 3)
    assert live(service) == names(3)
