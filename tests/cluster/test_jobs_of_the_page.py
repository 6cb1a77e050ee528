"""The jobs that docs/jobs.md shows, run by a real node from modules beside its configuration."""

import json

import pytest
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
