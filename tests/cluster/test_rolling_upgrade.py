"""Old and new nodes on one database, while it is migrated and afterwards; and nodes that come before it."""

import contextlib
import sys
import threading
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path

import psycopg
import pytest
from crowd import Crowd
from fleet import Fleet, overlaps, wait_until
from later_release import ADDITIVE, REVISION, LaterRelease, variables_for
from service import Service, product_environment, service_settings, until

from server.postgres.schema import newest_revision

OWN = newest_revision()


class Payers:
    """Withdrawals of 1, from each node in turn, until told to end."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._pay)
        self.nodes: list[int] = []
        self.paid: Counter[int] = Counter()
        self.failed: list[str] = []

    def __enter__(self) -> "Payers":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def wait_for_more(self, *nodes: int) -> None:
        """Until each of these has paid twenty times more, so that its statements are prepared."""
        before = self.paid.copy()
        wait_until(
            lambda: all(self.paid[node] >= before[node] + 20 for node in nodes), why="further payments"
        )

    def _pay(self) -> None:
        while not self._end.wait(0.005):
            for node in tuple(self.nodes):
                request = urllib.request.Request(
                    f"http://127.0.0.1:{self._fleet.port + node}/withdraw",
                    data=b'{"userId": 1, "amount": 1}',
                    headers={"Content-Type": "application/json"},
                )
                try:
                    with urllib.request.urlopen(request, timeout=15) as answer:
                        assert answer.status == 200
                    self.paid[node] += 1
                except OSError as error:  # HTTPError is one as well
                    self.failed.append(f"node-{node}: {error!r}")


def books(database) -> tuple[int, int, int]:
    """Balance, entries and their sum of account 1."""
    with database.connect() as connection:
        return connection.execute(
            "select (select balance from users where id = 1), count(*), sum(amount) from entries where user_id = 1"
        ).fetchone()


def test_old_and_new_nodes_run_tasks_and_move_money_together_during_and_after_a_migration(
    workers, database, tmp_path
):
    fleet = workers(6, seconds=0.3, every="1s", settle=0.5)
    fleet.variables = variables_for(database)
    fleet.start(1, 2)
    fleet.wait_ready()
    later = LaterRelease(tmp_path / "later")
    later.add_migration(compatible_from=OWN, body=ADDITIVE)

    def each_has_run(*nodes: int) -> None:
        newest = fleet.runs()[0]["id"]
        wanted = {f"node-{node}" for node in nodes}
        wait_until(
            lambda: {run["node"] for run in fleet.runs() if run["id"] > newest} >= wanted, why="runs of each"
        )

    with Payers(fleet) as payers:
        payers.nodes = [1, 2]
        payers.wait_for_more(1, 2)
        done = later.run("migrate", **variables_for(database))
        assert done.stdout.strip() == f"Migrated: {REVISION}", done.stderr
        payers.wait_for_more(1, 2)
        # An old one that starts only now, and a new one.
        fleet.start(3)
        fleet.tree = later.folder
        fleet.start(4)
        fleet.wait_ready()
        payers.nodes = [1, 2, 3, 4]
        payers.wait_for_more(1, 2, 3, 4)
        each_has_run(1, 2, 3, 4)
    assert payers.failed == []
    count = payers.paid.total()
    assert books(database) == (10_000 - count, count + 1, 10_000 - count)
    assert {run["status"] for run in fleet.runs()} <= {"succeeded", "running"}
    assert overlaps(fleet.testimony()) == []
    warned = {node: fleet.log(node).count("newer than this version's own") for node in (1, 2, 3, 4)}
    assert warned == {1: 0, 2: 0, 3: 1, 4: 0}


def test_a_running_service_is_upgraded_by_migrate_and_a_rolling_restart_without_a_lost_request(tmp_path):
    release = LaterRelease(tmp_path / "release")
    folder = tmp_path / "service"
    folder.mkdir()
    service = Service(
        folder, [sys.executable, "-m", "server"], service_settings(2), product_environment(release.folder)
    )
    try:
        service.start()
        release.add_migration(compatible_from=OWN, body=ADDITIVE)
        with Crowd(service, threads=2) as crowd:
            until(lambda: len(crowd.succeeded) > 50, "withdrawals before")
            migrated = service.run("migrate")
            assert migrated.stdout.strip() == f"Migrated: {REVISION}", migrated.stderr
            before = len(crowd.succeeded)
            until(lambda: len(crowd.succeeded) > before + 50, "withdrawals on the new schema")
            restarted = service.run("restart", seconds_max=240)
        assert restarted.returncode == 0, restarted.stderr
        assert crowd.failed == []
        assert f"at revision {REVISION}, which is this version's own" in service.run("db", "status").stdout
        assert service.get("/users/1")[1]["balance"] == 10_000 - len(crowd.succeeded)
    finally:
        service.clean_up()


@pytest.fixture
def absent_database(empty_database, server):
    """An empty database that is not there yet; call it, and it is."""
    name = empty_database.name

    def rename(one: str, other: str) -> None:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f'alter database "{one}" rename to "{other}"')

    rename(name, f"{name}_away")

    def appear() -> None:
        rename(f"{name}_away", name)

    yield empty_database, appear
    with contextlib.suppress(psycopg.errors.InvalidCatalogName):
        rename(f"{name}_away", name)


def test_six_nodes_that_start_before_their_database_wait_say_so_and_migrate_it_once(
    absent_database, tmp_path: Path
):
    database, appear = absent_database
    fleet = Fleet(tmp_path, database.application_url, {})
    fleet.variables = variables_for(database)
    numbers = range(1, 7)

    def warnings(number: int) -> int:
        lines = [line for line in fleet.log(number).splitlines() if "warning" in line]
        return sum("the database does not answer" in line for line in lines)

    try:
        fleet.start(*numbers)
        for number in numbers:
            wait_until(lambda number=number: warnings(number), 60, f"node-{number} waits")
            wait_until(lambda number=number: "waiting for the database" in fleet.log(number), 60, "a try")
        assert fleet.get("/healthz", 1)["status"] == "ok"
        with pytest.raises(urllib.error.HTTPError, match="503"):
            fleet.get("/readyz", 1)
        appear()
        fleet.wait_ready()
    finally:
        fleet.close()
    assert {number: warnings(number) for number in numbers} == dict.fromkeys(numbers, 1)
    assert sum(fleet.log(number).count("ran=['0001'") for number in numbers) == 1
    assert books(database) == (10_000, 1, 10_000)
