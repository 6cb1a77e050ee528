"""Section `growth`: how long reads take at rest on a database that has grown, one after the other."""

import http.client
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from time import perf_counter
from typing import Any

from benchmarks.apparatus.children import BenchmarkError
from benchmarks.apparatus.grown import SQL, Grown, Sizes
from benchmarks.apparatus.http import Address
from benchmarks.apparatus.postgres import Database
from benchmarks.report.figures import milliseconds, percentile
from benchmarks.report.section import Section, Table, Target
from server.jobs.history import SQL as PRUNING
from server.jobs.history import by_age, by_count
from server.jobs.retention import Retention
from server.web.parameters import cursor_after, cursor_in_time

P99_SECONDS_MAX = 0.05
CALL_SECONDS_MAX = 30.0
BATCHES = 100
BATCH_ROWS = 500
SEED = 7


@dataclass(frozen=True)
class Reading:
    """The times of one kind of read, in order of length."""

    what: str
    seconds: list[float]

    def row(self) -> list[str]:
        """For people."""
        return [self.what, *(milliseconds(percentile(self.seconds, one)) for one in (50, 99, 100))]


class Places:
    """Where in so long a history somebody may look: anywhere, evenly."""

    def __init__(self, grown: Grown, sizes: Sizes, ends: tuple[datetime, datetime]) -> None:
        self._grown = grown
        self._sizes = sizes
        self._ends = ends
        self._random = random.Random(SEED)

    def run(self) -> int:
        """The id of a run; of an event as well, since each run has one."""
        return self._random.randint(self._sizes.runs // 100, self._sizes.runs - 1_000)

    def moment(self, share_min: float = 0.0) -> str:
        """When a run started; share_min: where between the first and the last of them at least."""
        first, last = self._ends
        moment = first + (last - first) * self._random.uniform(share_min, 1)
        return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")

    def cursor(self) -> str:
        """Of a page somewhere in the list of runs."""
        return cursor_in_time("run", self.moment(), 1)

    def account(self) -> int:
        """One of the crowd."""
        return self._random.randint(*self._grown.accounts)

    def entry(self) -> str:
        """A cursor somewhere in the entries of the account with most of them, which were made last."""
        share = self._sizes.entries // 10
        return cursor_after("entry", self._sizes.entries - self._random.randint(1_000, share))


def paths(places: Places, hot: int) -> dict[str, Callable[[], str]]:
    """Each kind of read, and a path for one of them."""
    return {
        "`/tasks`": lambda: "/tasks",
        "`/tasks/{name}`": lambda: "/tasks/task-3",
        "`/nodes`": lambda: "/nodes",
        "`/runs`": lambda: "/runs",
        "`/runs`, a page anywhere": lambda: f"/runs?cursor={places.cursor()}",
        "`/runs?limit=1000`, a page anywhere": lambda: f"/runs?limit=1000&cursor={places.cursor()}",
        "`/runs/{id}`": lambda: f"/runs/{places.run()}",
        "`?task=`": lambda: "/runs?task=task-3",
        "`?task=`, a page anywhere": lambda: f"/runs?task=task-3&cursor={places.cursor()}",
        "`?task=`, one that ended long ago": lambda: "/runs?task=gone-task",
        "`?node=`": lambda: "/runs?node=node-2",
        "`?node=`, a page anywhere": lambda: f"/runs?node=node-2&cursor={places.cursor()}",
        "`?node=`, one that has gone": lambda: "/runs?node=gone-node",
        "`?status=succeeded`": lambda: "/runs?status=succeeded",
        "`?status=failed`, a page anywhere": lambda: f"/runs?status=failed&cursor={places.cursor()}",
        "`?status=lost`, none in the newer half": lambda: "/runs?status=lost",
        "`?status=running`, none": lambda: "/runs?status=running",
        "`?since=` anywhere": lambda: f"/runs?since={places.moment()}",
        "`?until=` anywhere": lambda: f"/runs?until={places.moment()}",
        "`?status=lost&until=` anywhere": lambda: f"/runs?status=lost&until={places.moment()}",
        "`?task=&since=&until=` anywhere": lambda: (
            f"/runs?task=task-3&until={places.moment()}&since=2000-01-01T00:00:00Z"
        ),
        "`?task=&status=failed`": lambda: "/runs?task=task-0&status=failed",
        "`?node=&status=lost`": lambda: "/runs?node=node-2&status=lost",
        "`?task=&status=failed`, none": lambda: "/runs?task=task-3&status=failed",
        "`?task=&node=`": lambda: "/runs?task=task-3&node=node-1",
        "`?task=&node=`, one that has gone": lambda: "/runs?task=task-3&node=gone-node",
        "`/users/{id}`": lambda: f"/users/{places.account()}",
        "`/users/{id}?at=`": lambda: f"/users/{places.account()}?at={places.moment(0.5)}",
        "`/users/{id}/entries`": lambda: f"/users/{places.account()}/entries",
        "the same of an account with a tenth of all": lambda: f"/users/{hot}/entries",
        "the same, a page anywhere": lambda: f"/users/{hot}/entries?cursor={places.entry()}",
    }


COMBINED = ("?task=&node=",)
"""Reads with two filters, of which an index serves one: told, and not part of the promise."""


def measure(address: Address, database: Database, grown: Grown, sizes: Sizes, requests: int) -> Section:
    """The section."""
    with database.connect() as connection:
        ends: Any = connection.execute(SQL["ends"]).fetchone()
        sizes_rows = connection.execute(SQL["sizes"]).fetchall()
    places = Places(grown, sizes, ends)
    readings = [_http(address, what, path, requests) for what, path in paths(places, grown.hot).items()]
    readings.append(
        Reading(
            "`/events?since=` anywhere, to the first event",
            sorted(_first_event(address, places.run()) for _ in range(requests)),
        )
    )
    pruning = [Reading(what, sorted(seconds)) for what, seconds in _prune(database)]
    columns = ("", "p50 ms", "p99 ms", "longest ms")
    worst = max(percentile(one.seconds, 99) for one in readings if not _is_combined(one.what))
    tables = [
        Table(
            f"Reads at rest, {requests} of each, one after the other", columns, [r.row() for r in readings]
        ),
        Table(
            f"One batch of pruning, {BATCH_ROWS} rows, {BATCHES} of each", columns, [r.row() for r in pruning]
        ),
        Table("What it is read from", ("", "rows", "table MiB", "indexes MiB"), _sizes(sizes_rows)),
        Table("Making the indexes of `runs` and `entries` again", ("", "s"), _indexes(grown)),
    ]
    data = {
        "reads": {one.what: one.seconds for one in readings},
        "pruning": {one.what: one.seconds for one in pruning},
        "index_seconds": grown.index_seconds,
    }
    target = Target("p99 of each read but those of task and node at once, ms", 50, 1000 * worst, at_most=True)
    return Section("growth", tables, [target], data=data)


def _is_combined(what: str) -> bool:
    return any(part in what for part in COMBINED)


def _http(address: Address, what: str, path: Callable[[], str], requests: int) -> Reading:
    """One request after the other on one connection. The first few are not counted: they make plans."""
    connection = http.client.HTTPConnection(address.host, address.port, timeout=CALL_SECONDS_MAX)
    seconds = []
    try:
        for number in range(requests + 10):
            wanted = path()
            began = perf_counter()
            connection.request("GET", wanted)
            answer = connection.getresponse()
            body = answer.read()
            if number >= 10:
                seconds.append(perf_counter() - began)
            if answer.status != 200:
                raise BenchmarkError(f"GET {wanted}: {answer.status} {body[:300]!r}")
    finally:
        connection.close()
    return Reading(what, sorted(seconds))


def _first_event(address: Address, since: int) -> float:
    """From the request, on a connection of its own, to the event that follows `since`."""
    connection = http.client.HTTPConnection(address.host, address.port, timeout=CALL_SECONDS_MAX)
    try:
        began = perf_counter()
        connection.request("GET", f"/events?since={since}")
        answer = connection.getresponse()
        wanted = b"id: %d\n" % (since + 1)
        while (line := answer.readline()) != wanted:
            if not line:
                raise BenchmarkError(f"GET /events?since={since} ended without the next event")
        return perf_counter() - began
    finally:
        connection.close()


def _prune(database: Database) -> Iterator[tuple[str, list[float]]]:
    """Batches of the task prune_history, as it sends them; this deletes history."""
    retention = Retention(keep_days=30, keep_runs=10_000, keep_events=1_000_000)
    pieces = {piece.params.get("status", piece.what): piece for piece in by_age(retention, BATCH_ROWS)}
    (beyond,) = by_count(retention, BATCH_ROWS, ["task-3"])
    for what, piece in (
        ("runs that succeeded, by age", pieces["succeeded"]),
        ("runs of one task, by number", beyond),
        ("events", pieces["events"]),
    ):
        seconds = []
        with database.connect() as connection:
            for _ in range(BATCHES):
                began = perf_counter()
                connection.execute(PRUNING[piece.statement], piece.params)
                seconds.append(perf_counter() - began)
        yield what, seconds


def _sizes(rows: Any) -> list[list[str]]:
    return [
        [f"`{name}`", f"{count:,}", f"{table / 2**20:,.0f}", f"{indexes / 2**20:,.0f}"]
        for name, count, table, indexes in rows
    ]


def _indexes(grown: Grown) -> list[list[str]]:
    return [[f"`{name}`", f"{seconds:.1f}"] for name, seconds in sorted(grown.index_seconds.items())]
