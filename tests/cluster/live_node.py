"""One live node of a fleet, its own PostgreSQL, and the wire between: asked, looked at, and timed."""

import json
import os
import time
import urllib.error
import urllib.request
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from fleet import Fleet, wait_until
from wire import Wire

from server.postgres.embedded import EmbeddedServer
from server.settings import Settings, load

SLACK_SECONDS = 4.0
"""What a busy machine may add to what is promised."""
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


class LiveNode:
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

    def settings(self) -> Settings:
        """As a command on its host reads them."""
        return load(str(self.fleet.config), {"RINGFENCE_DATABASE__URL": self.fleet.url})

    def figure(self, name: str) -> float:
        """What /metrics says of a figure without labels."""
        url = f"http://127.0.0.1:{self.fleet.port + 1}/metrics"
        with urllib.request.urlopen(url, timeout=DEADLINE_SECONDS) as answer:
            lines = answer.read().decode().splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))

    def told(self) -> list[str]:
        """The lines of the log since this was last asked, without those for the curious."""
        text = self.fleet.log(1)
        lines, self._read_to = text[self._read_to :].splitlines(), len(text)
        return [line for line in lines if "[debug" not in line]


def times_told(node: LiveNode) -> int:
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
