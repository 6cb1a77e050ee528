"""The jobs that README.md and docs/jobs.md show, run by a real node from modules beside its configuration."""

import json
import re

import pytest
import yaml
from fleet import wait_until
from page_code import code_of


@pytest.mark.parametrize("module", ["pay", "pay_once"])
def test_the_transfer_of_the_page_moves_money_once_for_each_run(fleet, database, module):
    with database.connect() as connection:
        (payee,) = connection.execute("select open_account(0)").fetchone()
        made = fleet(
            {
                "payment": {
                    "function": f"{module}:pay",
                    "every": "1h",
                    "params": {"payer": 1, "payee": payee, "amount": 100},
                }
            }
        )
        (made.folder / f"{module}.py").write_text(code_of("jobs.md", module))
        made.start(1)
        made.wait_ready()
        assert made.ended()["status"] == "succeeded", json.dumps(made.runs())
        made.post("/tasks/payment/run")
        wait_until(lambda: len(made.runs(status="succeeded")) == 2, 20, "a second run")
        moved = connection.execute(
            "select user_id, balance_after from entries where request_id is not null order by id"
        ).fetchall()
        balances = dict(connection.execute("select id, balance from users").fetchall())
    assert balances == {1: 9_800, payee: 200}
    assert len([row for row in moved if row[0] == payee and row[1]]) == 2


def test_the_first_job_of_the_page_counts(fleet):
    made = fleet({"job": {"function": "counting:count_to", "every": "1h", "params": {"number": 2}}})
    (made.folder / "counting.py").write_text(code_of("jobs.md", "counting"))
    made.start(1)
    made.wait_ready()
    run = made.ended()
    assert (run["status"], run["result"]) == ("succeeded", {"counted": 2})
    assert run["progress"] == {"done": 1, "total": 2, "message": "at 1"}


def test_the_task_of_the_readme_runs_from_a_module_beside_the_configuration_wherever_the_node_starts(
    fleet, project
):
    """And what lies where the node starts takes no library's place, nor the product's own."""
    _, _, section = (project / "README.md").read_text(encoding="utf-8").partition("### A task of your own")
    code, task = re.findall(r"```(?:python|yaml)\n(.*?)```", section, re.DOTALL)[:2]
    made = fleet(yaml.safe_load(task))
    (made.folder / "mytasks.py").write_text(code)
    made.place = made.folder / "elsewhere"
    (made.place / "server").mkdir(parents=True)
    for careless in ("json.py", "select.py", "server/__init__.py"):
        (made.place / careless).write_text("raise RuntimeError('nobody wants this module')\n")
    made.start(1)
    made.wait_ready()
    run = wait_until(
        lambda: next((run for run in made.runs() if run["progress"] or run["finishedAt"]), None), 30, "a run"
    )
    assert (run["task"], run["status"]) == ("greet_the_world", "running"), json.dumps(run)
    assert run["progress"]["message"] == "greeting world"
    assert made.post(f"/runs/{run['id']}/cancel") in {200, 202}
    assert made.ended()["status"] == "cancelled"
