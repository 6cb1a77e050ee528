"""What a node writes to its log: lines that a collector reads, and nothing that is nobody's business."""

import json
import urllib.error
import urllib.request

import pytest
import yaml
from fleet import Fleet, wait_until

from server.cli import log_level

SECRETS = {
    "password": "leaked-password",
    "token": "rf_0123456789ab_leakedleakedleakedleakedleakedleaked",
    "key": "leaked-key",
    "body": "leaked-body",
    "balance": "73170000000731",
    "amount": "63170736",
    "refused amount": "8317000000000738",
    "amount that a constraint quotes": "53170735",
    "balance afterwards": "73169936829995",
}


@pytest.fixture
def talking(fleet, database) -> Fleet:
    """One node that tells everything as JSON, on a database with a password."""
    made = fleet({"fails": {"function": "witness:fails", "every": "1h"}}, settle=0.1)
    settings = yaml.safe_load(made.config.read_text())
    made.config.write_text(yaml.safe_dump(settings | {"logging": {"level": "debug", "format": "json"}}))
    made.url += f"&password={SECRETS['password']}"
    with database.connect_as_owner() as owner:
        owner.execute("alter table entries add constraint surprise check (amount <> -53170735)")
    made.start(1)
    made.wait_ready()
    wait_until(lambda: made.get("/nodes")["nodes"], why="a member")
    return made


def ask(fleet: Fleet, path: str, body: bytes | None, headers: dict[str, str]) -> int:
    request = urllib.request.Request(
        f"http://127.0.0.1:{fleet.port + 1}{path}",
        data=body,
        headers={"Content-Type": "application/json"} | headers,
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def lines(fleet: Fleet) -> list[dict[str, object]]:
    return [json.loads(line) for line in fleet.log(1).splitlines()]


def withdrawal(what: str) -> bytes:
    return json.dumps({"userId": 2, "amount": int(SECRETS[what])}).encode()


def test_a_log_of_everything_holds_lines_with_their_request_and_run_and_no_secret(talking, database):
    named = {"X-Request-Id": "named-by-the-client"}
    key = {"Idempotency-Key": SECRETS["key"]}
    opening = json.dumps({"balance": int(SECRETS["balance"])}).encode()
    assert ask(talking, "/users", opening, {}) == 201
    assert ask(talking, "/withdraw", withdrawal("amount"), key) == 200
    assert ask(talking, "/withdraw", withdrawal("amount"), key) == 200
    assert ask(talking, "/withdraw", withdrawal("refused amount"), key | named) == 422
    assert ask(talking, "/withdraw", withdrawal("refused amount"), {}) == 409
    surprise = withdrawal("amount that a constraint quotes")
    assert ask(talking, "/withdraw", surprise, {}) == 500
    assert ask(talking, "/withdrawals", b'{"withdrawals": [%b]}' % surprise, {}) == 500
    assert ask(talking, "/withdraw", b'{"userId": "leaked-body"}', {}) == 422
    assert ask(talking, "/users/2?at=leaked-body", None, named) == 422
    assert ask(talking, "/tasks", None, {"Authorization": f"Bearer {SECRETS['token']}"}) == 401
    traced = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    assert ask(talking, "/users/2", None, traced) == 200
    with database.connect() as connection:
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'ringfence node%'"
        )
    wait_until(lambda: ask(talking, "/users/2", None, {}) == 200, why="an answer after the break")
    talking.ended(task="fails")
    wait_until(
        lambda: any(line["event"] == "run ended" for line in lines(talking)), why="the line of its end"
    )

    found = lines(talking)
    assert all({"event", "level", "timestamp", "node"} <= line.keys() for line in found)
    assert {line["node"] for line in found} == {"node-1"}
    text = talking.log(1)
    assert [what for what, secret in SECRETS.items() if secret in text] == []
    by_request = {line["request"]: line for line in found if "request" in line}
    assert {"named-by-the-client", "0af7651916cd43dd8448eb211c80319c"} <= by_request.keys()
    answered = [line for line in found if line["event"] == "answered" and line["route"] == "/withdraw"]
    assert sorted(line["status"] for line in answered) == [200, 200, 409, 422, 422, 500]
    assert all(line["request"] for line in answered)
    failed = [line for line in found if line["event"] == "movements failed"]
    assert {(line["sqlstate"], line["constraint"]) for line in failed} == {("23514", "surprise")}
    assert all("batcher.py" in line["stack"] for line in failed)
    ended = next(line for line in found if line["event"] == "run ended")
    assert (ended["task"], ended["status"], ended["run"]) == ("fails", "failed", talking.runs()[0]["id"])


def test_the_level_of_a_node_changes_while_it_runs_and_says_who_changed_it(talking):
    def answered() -> list[object]:
        return [line["route"] for line in lines(talking) if line["event"] == "answered"]

    url = f"http://127.0.0.1:{talking.port + 1}"
    (answer,) = log_level.ask_all(url, None, "error", 60)
    assert (answer["node"], answer["level"], answer["configured"]) == ("node-1", "error", "debug")
    assert 0 < answer["seconds"] <= 60
    wait_until(lambda: any(line["event"] == "the log level was changed" for line in lines(talking)))
    before = len(answered())
    for _ in range(3):
        talking.get("/tasks")
    (answer,) = log_level.ask_all(url, "node-1", "debug", None)
    assert answer["seconds"] is None
    talking.get("/runs")
    wait_until(lambda: "/runs" in answered()[before:], why="lines again")
    assert "/tasks" not in answered()[before:]
