"""Jobs in the loop of a whole service: what they do to their node, supervisord mends."""

import re
import sys
from pathlib import Path

import pytest
from service import Service, product_environment, service_settings, until

HERE = Path(__file__).resolve().parent


@pytest.fixture
def service_with(tmp_path, project):
    """A service with one task in the loop; nothing of it is left after the test."""
    made = []

    def make(function: str, **settings) -> Service:
        task = {"function": f"witness:{function}", "every": "1h", "isolation": "loop"}
        environment = product_environment(project)
        environment["PYTHONPATH"] += f":{HERE}"
        made.append(
            Service(
                tmp_path,
                [sys.executable, "-m", "server"],
                service_settings() | {"tasks": {"job": task | settings}},
                environment,
            )
        )
        return made[-1]

    yield make
    for one in made:
        one.clean_up()


def test_a_node_that_a_blocking_job_ended_comes_back_and_the_task_has_run_elsewhere(service_with, tmp_path):
    witness = tmp_path / "witness.jsonl"
    service = service_with("blocks_once", timeout="1s", params={"path": str(witness)})
    service.start()

    def runs() -> list[dict]:
        return service.get("/runs?task=job")[1]["runs"]

    until(lambda: [run["status"] for run in runs()] == ["succeeded", "lost"], "the run elsewhere")
    well, lost = runs()
    assert (lost["successor"], well["trigger"]) == (well["id"], "lost")
    assert well["node"] != lost["node"]
    until(service.is_ready, "all are ready again")
    assert len(service.get("/nodes")[1]["nodes"]) == 2
    log = (service.folder / "var/log" / f"{lost['node']}.log").read_text()
    assert re.search(rf"a job blocks the event loop .*run={lost['id']}\b.* task=job", log)


def test_the_start_ends_with_the_name_of_the_task_whose_plain_function_shall_run_in_the_loop(service_with):
    service = service_with("work")
    service.begin()
    assert service.end() == 1
    assert (
        "tasks.job: isolation: loop needs a coroutine, and witness:work is a plain function" in service.said()
    )
    assert service.left() == {}
