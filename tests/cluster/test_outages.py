"""A live node while its database is away, in each way in which a database can be.

One node, one long run, one server and one wire to it serve all tests of this file: each
begins when all is well, and ends when all is well again by itself.
"""

import json
import os
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from fleet import Fleet, children, wait_until
from wire import Wire

from server.postgres import migrations
from server.postgres.embedded import EmbeddedServer

RED_SECONDS = 2.0
"""Within which /readyz tells an outage."""
BACK_SECONDS = 5.0
"""Within which everything goes on when the database is back."""
SLACK_SECONDS = 4.0
"""What a busy machine may add to any of them."""
DEADLINE_SECONDS = 10.0
ASKED_AT_ONCE_MAX = 10
BEGINS = "the database does not answer"
ENDS = "the database answers again"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Any
    body: Any
    seconds: float

    @property
    def is_unavailable(self) -> bool:
        """Whether it says that, and when to come back, within the deadline."""
        return (
            self.status == 503
            and int(self.headers["Retry-After"]) >= 1
            and self.body["code"] in {"database_unavailable", "outcome_unknown", "overloaded"}
            and self.seconds < DEADLINE_SECONDS + SLACK_SECONDS
        )


class Node:
    """The node, its database, and what lies between."""

    def __init__(self, fleet: Fleet, server: EmbeddedServer, wire: Wire) -> None:
        self.fleet = fleet
        self.server = server
        self.wire = wire
        self._read_to = 0
        self._asking = ThreadPoolExecutor(ASKED_AT_ONCE_MAX)

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Answer:
        """One request, whatever its answer's status."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.fleet.port + 1}{path}", data, {"Content-Type": "application/json"}
        )
        began = time.monotonic()
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return Answer(answer.status, answer.headers, json.load(answer), time.monotonic() - began)
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.headers, json.load(error), time.monotonic() - began)

    def withdraw(self) -> Answer:
        return self.ask("/withdraw", {"userId": 1, "amount": 1})

    def read(self) -> Answer:
        return self.ask("/users/1")

    def asked(self, *questions: Any) -> "list[Future[Answer]]":
        """The same in the background."""
        return [self._asking.submit(question) for question in questions]

    def sql(self, statement: str, *params: object) -> list[tuple[Any, ...]]:
        """What a superuser is told, past the wire."""
        with psycopg.connect(
            self.server.superuser_url,
            dbname="ringfence",
            autocommit=True,
            options="-c default_transaction_read_only=off",
        ) as connection:
            cursor = connection.execute(statement, params)
            return cursor.fetchall() if cursor.description else []

    def sessions(self) -> dict[str, int]:
        """application name -> process, of this node's own connections."""
        return dict(
            self.sql(
                "select application_name, pid from pg_stat_activity where application_name like 'ringfence node-%%'"
            )
        )

    def terminate_all(self) -> None:
        self.sql(
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'ringfence node-%%'"
        )

    def run(self) -> int | None:
        """The long run that goes on."""
        found = self.sql("select id from runs where status = 'running' and node_name = 'node-1'")
        return found[0][0] if found else None

    def seconds_until_red(self, reason: str = "the database does not answer") -> float:
        began = time.monotonic()
        red = wait_until(lambda: (a := self.ask("/readyz")).status == 503 and a, 20, "readiness turned red")
        seconds = time.monotonic() - began
        assert red.body["reasons"] == [reason]
        assert self.ask("/healthz").status == 200
        return seconds

    def seconds_until_all_is_well(self) -> float:
        """How long until reads, writes, readiness, the listener and heartbeats all work."""
        began = time.monotonic()
        wait_until(lambda: self.withdraw().status == 200, 30, "a withdrawal")
        wait_until(lambda: self.read().status == 200, 30, "an account")
        wait_until(lambda: self.ask("/readyz").status == 200, 30, "readiness")
        wait_until(lambda: len(self.sessions()) == 4, 30, "four connections")
        wait_until(self.is_beating, 30, "a heartbeat")
        return time.monotonic() - began

    def is_beating(self) -> bool:
        ((age,),) = self.sql("select extract(epoch from clock_timestamp() - heartbeat_at)::float8 from nodes")
        return age < 1.5

    def cpu_seconds(self) -> float:
        """What the node's own process has used."""
        stat = Path(f"/proc/{self.fleet.processes[1].pid}/stat").read_text(encoding="utf-8")
        user, system = stat.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def told(self) -> list[str]:
        """The lines of the log since this was last asked, without those for the curious."""
        text = self.fleet.log(1)
        lines, self._read_to = text[self._read_to :].splitlines(), len(text)
        return [line for line in lines if "[debug" not in line]


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    folder = tmp_path_factory.mktemp("outages")
    server = EmbeddedServer(folder / "postgres")
    server.start()
    migrations.upgrade(server.owner_url, server.application_url)
    with Wire(server.application_url) as wire:
        params = {"path": str(folder / "witness"), "seconds": 600}
        task = {"function": "witness:work", "every": "1h", "params": params}
        (folder / "fleet").mkdir()
        fleet = Fleet(folder / "fleet", wire.url, {"long": task}, ttl=20, margin=2)
        try:
            fleet.start(1)
            fleet.wait_ready()
            yield Node(fleet, server, wire)
        finally:
            wire.heal()
            fleet.close()
    server.stop()


@pytest.fixture
def node(live: Node) -> Iterator[Node]:
    """All is well, and a run goes on; so it is when the test is over, with the same run."""
    run = wait_until(live.run, 30, "a run")
    live.seconds_until_all_is_well()
    live.told()
    yield live
    live.seconds_until_all_is_well()
    assert live.run() == run


def times_told(node: Node) -> int:
    """How many outages the log tells of, each with its end and how long it was, and with hardly another line."""
    told: list[str] = []

    def has_ended() -> bool:
        told.extend(node.told())
        begun = [line for line in told if BEGINS in line]
        ended = [line for line in told if ENDS in line]
        return 0 < len(begun) == len(ended)

    wait_until(has_ended, 15, "the end in the log")
    ended = [line for line in told if ENDS in line]
    assert all("seconds=" in line for line in ended)
    assert len(told) <= 2 * len(ended) + 2, told
    return len(ended)


def test_a_busy_node_holds_four_connections_and_no_more(node):
    def work() -> None:
        until = time.monotonic() + 2
        while time.monotonic() < until:
            for path in ("/users/1", "/tasks", "/nodes", "/runs", "/readyz", "/users/1/entries"):
                assert node.ask(path).status == 200
            assert node.withdraw().status == 200

    working = node.asked(*[work] * 6)
    seen: list[list[str]] = []
    while not all(one.done() for one in working):
        names = node.sql(
            "select application_name from pg_stat_activity"
            " where application_name like 'ringfence%%' and application_name not like 'ringfence run %%'"
        )
        seen.append(sorted(name for (name,) in names))
    for one in working:
        one.result()
    parts = ("", " heartbeat", " listener", " money")
    assert max(seen, key=len) == [f"ringfence node-1{part}" for part in parts]
    assert len(seen) > 10


def test_while_the_server_is_silent_answers_are_503_in_time_and_then_everything_goes_on(node):
    began, used = time.monotonic(), node.cpu_seconds()
    node.wire.silence()
    questions = node.asked(
        node.withdraw,
        node.read,
        lambda: node.ask("/users", {"balance": 1}),
        lambda: node.ask("/withdrawals", {"withdrawals": [{"userId": 1, "amount": 1}]}),
        lambda: node.ask("/tasks"),
        lambda: node.ask("/runs"),
        lambda: node.ask("/tasks/long/pause", {}),
        lambda: node.ask("/ledger/check"),
    )
    assert node.seconds_until_red() < RED_SECONDS + SLACK_SECONDS
    answers = [question.result() for question in questions]
    assert [answer for answer in answers if not answer.is_unavailable] == []
    assert node.cpu_seconds() - used < (time.monotonic() - began) / 4, "it spins"
    assert not node.is_beating()
    node.wire.heal()
    assert node.seconds_until_all_is_well() < BACK_SECONDS + SLACK_SECONDS
    assert times_told(node) == 1


def test_what_was_asked_while_connections_were_refused_is_answered_when_they_are_taken_again(node):
    began, used = time.monotonic(), node.cpu_seconds()
    node.wire.refuse()
    questions = node.asked(node.withdraw, node.read)
    assert node.seconds_until_red() < RED_SECONDS + SLACK_SECONDS
    wait_until(lambda: time.monotonic() > began + 3)
    assert node.cpu_seconds() - used < (time.monotonic() - began) / 4, "it spins"
    node.wire.heal()
    assert node.seconds_until_all_is_well() < BACK_SECONDS + SLACK_SECONDS
    assert [question.result().status for question in questions] == [200, 200]
    assert times_told(node) == 1


def test_connections_that_fell_silent_behind_something_that_acknowledges_are_replaced_within_15_seconds(node):
    """Nobody closes them, and new ones work: as behind a proxy that lost its server in a failover."""
    before = node.sessions()
    began = time.monotonic()
    node.wire.forget()
    answers = [question.result() for question in node.asked(node.withdraw, node.read)]
    assert [answer.status for answer in answers] == [200, 200]

    def is_replaced() -> bool:
        # The server has not seen the end of the old ones; so a new one has the same name.
        found = node.sql(
            "select application_name, pid from pg_stat_activity where application_name like 'ringfence node-%%'"
        )
        return {name for name, pid in found if before[name] != pid} == before.keys()

    wait_until(is_replaced, 30, "four new connections")
    assert time.monotonic() - began < 15 + SLACK_SECONDS
    node.sql(
        "select pg_terminate_backend(pid) from pg_stat_activity where pid = any (%s)", list(before.values())
    )
    assert times_told(node) <= 4, "once for each connection at most"


def test_terminated_connections_cost_no_request(node):
    for _ in range(3):
        node.terminate_all()
        assert node.withdraw().status == 200
        assert node.read().status == 200
        wait_until(lambda: len(node.sessions()) == 4, 20, "four connections")
    assert times_told(node) <= 3


def test_a_server_that_takes_no_writes_is_told_and_left_as_soon_as_it_does(node):
    """As a primary that became a standby. Accounts can be read meanwhile."""
    node.sql("alter database ringfence set default_transaction_read_only = on")
    try:
        node.terminate_all()
        node.seconds_until_red("the database takes no writes")
        writing = node.asked(node.withdraw)
        assert node.read().status == 200
    finally:
        node.sql("alter database ringfence reset default_transaction_read_only")
    assert writing[0].result().status == 200
    assert node.seconds_until_all_is_well() < BACK_SECONDS + SLACK_SECONDS
    assert times_told(node) <= 2, (
        "that its connections were terminated, and that the next ones take no writes"
    )


def test_too_many_connections_are_waited_for(node):
    node.sql("alter database ringfence connection limit 0")
    try:
        node.terminate_all()
        questions = node.asked(node.withdraw, node.read)
        assert node.seconds_until_red() < RED_SECONDS + SLACK_SECONDS
    finally:
        node.sql("alter database ringfence connection limit -1")
    assert [question.result().status for question in questions] == [200, 200]
    assert node.seconds_until_all_is_well() < BACK_SECONDS + SLACK_SECONDS
    assert times_told(node) == 1


def test_a_server_that_stops_at_once_and_starts_again_costs_no_request(node):
    questions = []
    pid = node.server.running_pid()
    os.kill(pid, signal.SIGQUIT)  # immediate: as after a crash, it recovers when it starts
    questions += node.asked(node.withdraw, node.read)
    assert node.seconds_until_red() < RED_SECONDS + SLACK_SECONDS
    wait_until(lambda: node.server.running_pid() is None, 20, "the end of the server")
    node.server.start()
    assert node.seconds_until_all_is_well() < BACK_SECONDS + SLACK_SECONDS
    assert [question.result().status for question in questions] == [200, 200]
    assert times_told(node) == 1


def test_a_frozen_server_is_waited_for_and_costs_nothing_when_it_thaws(node):
    pid = node.server.running_pid()
    frozen = [pid, *children(pid)]
    for one in frozen:
        os.kill(one, signal.SIGSTOP)
    try:
        questions = node.asked(node.withdraw, node.read)
        assert node.seconds_until_red() < RED_SECONDS + SLACK_SECONDS
    finally:
        for one in frozen:
            os.kill(one, signal.SIGCONT)
    assert [question.result().status for question in questions] == [200, 200]
    assert node.seconds_until_all_is_well() < BACK_SECONDS + SLACK_SECONDS
