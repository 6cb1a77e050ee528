"""What the tests on real processes share: fleets of nodes, and whole services."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fleet import Fleet
from service import Service, product_environment, service_settings


@pytest.fixture
def fleet(database, tmp_path) -> Iterator[Callable[..., Fleet]]:
    """Makes fleets on a database of the test's own, and ends their nodes after the test."""
    made: list[Fleet] = []

    def make(tasks: dict[str, Any], **cluster: Any) -> Fleet:
        folder = tmp_path / f"fleet-{len(made) + 1}"
        folder.mkdir()
        made.append(Fleet(folder, database.application_url, tasks, **cluster))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def one_node(fleet, tmp_path) -> Callable[..., Fleet]:
    """Starts one node with one task, `job`, a function of witness.py; returns the fleet."""

    def start(function: str, **settings: Any) -> Fleet:
        witness = tmp_path / "witness.jsonl"
        witness.touch()
        params = settings.pop("params", {})
        made = fleet({"job": {"function": f"witness:{function}", "every": "1h", "params": params} | settings})
        made.witness = witness
        made.start(1)
        made.wait_ready()
        return made

    return start


@pytest.fixture
def nodes(fleet, tmp_path, database) -> Callable[..., Fleet]:
    """Starts nodes with one task in the loop, `job`, and some workers in processes of their own."""

    def start(
        count: int,
        function: str,
        workers: int = 0,
        worker_timeout: str = "1h",
        params: dict[str, Any] | None = None,
        **settings: Any,
    ) -> Fleet:
        witness = tmp_path / "witness.jsonl"
        witness.touch()
        path = {"path": str(witness)}
        job = {"function": f"witness:{function}", "every": "1h", "isolation": "loop"}
        worker = {"function": "witness:work", "every": "1h", "timeout": worker_timeout}
        worker |= {"params": path | {"seconds": 60}}
        made = fleet(
            {"job": job | {"params": path | (params or {})} | settings}
            | {f"worker-{number}": worker for number in range(workers)}
        )
        made.witness = witness
        made.database = database
        made.start(*range(1, count + 1))
        made.wait_ready()
        return made

    return start


@pytest.fixture
def service(tmp_path: Path, project: Path) -> Iterator[Service]:
    """A service that is not started yet; nothing of it is left after the test."""
    one = Service(
        tmp_path, [sys.executable, "-m", "server"], service_settings(), product_environment(project)
    )
    yield one
    one.clean_up()


@pytest.fixture
def workers(fleet, tmp_path: Path) -> Callable[..., Fleet]:
    """Makes fleets whose tasks all do witness.work for some seconds."""

    def make(count: int, seconds: float, every: str = "1h", **cluster: Any) -> Fleet:
        witness = tmp_path / "witness.jsonl"
        witness.touch()
        task = {
            "function": "witness:work",
            "every": every,
            "params": {"path": str(witness), "seconds": seconds},
        }
        made = fleet({f"task-{number:02}": task for number in range(count)}, **cluster)
        made.witness = witness
        return made

    return make


@pytest.fixture
def running(database) -> Iterator[Callable[[], dict[str, tuple[int, str]]]]:
    """Asks the table, and no node, what runs: task -> (run, node)."""
    with database.connect() as connection:

        def ask() -> dict[str, tuple[int, str]]:
            rows = connection.execute(
                "select task_name, id, node_name from runs where status = 'running'"
            ).fetchall()
            return {task: (run, node) for task, run, node in rows}

        yield ask
