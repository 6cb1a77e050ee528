"""A live node while its database is away, in each way in which a database can be.

One node, one long run, one server and one wire to it serve all tests of this file: each
begins when all is well, and ends when all is well again by itself.
"""

import contextlib
import os
import signal
import time
from collections.abc import Iterator

import pytest
from fleet import Fleet, children, wait_until
from live_node import DEADLINE_SECONDS, SLACK_SECONDS, LiveNode, times_told
from wire import Wire

from server.cli import api
from server.cli.doctor.finding import Level
from server.cli.doctor.service import check_service
from server.postgres import migrations
from server.postgres.embedded import EmbeddedServer

RED_SECONDS = 2.0
"""Within which /readyz tells an outage."""
BACK_SECONDS = 5.0
"""Within which everything goes on when the database is back."""


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveNode]:
    folder = tmp_path_factory.mktemp("outages")
    server = EmbeddedServer(folder / "postgres")
    server.start()
    migrations.upgrade(server.owner_url, server.application_url)
    with Wire(server.application_url) as wire:
        params = {"path": str(folder / "witness"), "seconds": 600}
        task = {"function": "witness:work", "every": "1h", "params": params}
        (folder / "fleet").mkdir()
        fleet = Fleet(folder / "fleet", wire.url, {"long": task}, ttl=40, margin=2)
        try:
            fleet.start(1)
            fleet.wait_ready()
            yield LiveNode(fleet, server, wire)
        finally:
            wire.heal()
            fleet.close()
    server.stop()


@pytest.fixture
def node(live: LiveNode) -> Iterator[LiveNode]:
    """All is well, and a run goes on; so it is when the test is over, with the same run."""
    run = wait_until(live.run, 30, "a run")
    live.seconds_until_all_is_well()
    live.told()
    yield live
    live.wire.heal()  # for a test that failed in the middle
    live.seconds_until_all_is_well()
    assert live.run() == run


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
    wait_until(lambda: node.figure("ringfence_database_outage_seconds") > 0, DEADLINE_SECONDS, "the figure")
    command = node.asked(lambda: api.call(f"http://127.0.0.1:{node.fleet.port + 1}", "GET", "/tasks"))[0]
    (ports,) = (one for one in check_service(node.settings()) if one.subject == "ports")
    assert ports.level is Level.WARNING
    assert ports.text.endswith("of which 2 are not ready: the database does not answer")
    answers = [question.result() for question in questions]
    assert [answer for answer in answers if not answer.is_unavailable] == []
    with pytest.raises(api.RefusedError, match="The database can't be reached"):
        command.result()
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


def signal_all(processes: list[int], what: signal.Signals) -> None:
    """To those that still live: sessions end, and so do workers of autovacuum."""
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, what)


def test_a_frozen_server_is_waited_for_and_costs_nothing_when_it_thaws(node):
    pid = node.server.running_pid()
    frozen = [pid, *children(pid)]
    signal_all(frozen, signal.SIGSTOP)
    try:
        questions = node.asked(node.withdraw, node.read)
        assert node.seconds_until_red() < RED_SECONDS + SLACK_SECONDS
    finally:
        signal_all(frozen, signal.SIGCONT)
    assert [question.result().status for question in questions] == [200, 200]
    assert node.seconds_until_all_is_well() < BACK_SECONDS + SLACK_SECONDS
