"""A large cluster without its processes: nodes, tasks, and a steady stream of events.

All by the functions that real nodes call, so an observer sees what it would see of them.
"""

import itertools
import json
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import psycopg
from psycopg.rows import namedtuple_row

from server.cron.catalogue import Catalogue
from server.postgres.statements import load
from server.settings import Settings, TaskSettings

STATEMENTS = load("benchmarks.apparatus", "crowd.sql")
EVENTS_OF_A_RUN = 2  # its start and its ending
STEPS = 5  # reports of progress of one run
FAILING = 10  # one run of so many fails


class Crowd:
    """nodes, tasks: how many. url: of the application's role."""

    def __init__(self, url: str, settings: Settings, nodes: int, tasks: int) -> None:
        self.nodes = [f"node-{number}" for number in range(101, 101 + nodes)]
        self.tasks = [f"task-{number:04}" for number in range(tasks)]
        self._url = url
        self._settings = settings
        self._incarnations: dict[str, int] = {}
        self._under_way: deque[tuple[int, str]] = deque()

    def fill(self) -> None:
        """Defines the tasks and lets the nodes join."""
        with self._connect() as connection:
            now: datetime = connection.execute(STATEMENTS["clock"]).fetchone().now  # type: ignore[union-attr]
            task = TaskSettings(function="server.jobs.pi:run", every=3600.0, first="scheduled")
            settings = self._settings.model_copy(update={"tasks": {self.tasks[0]: task}})
            (one,) = Catalogue.from_settings(settings).tasks.values()
            definitions = [one.for_database(1, now) | {"name": name} for name in self.tasks]
            connection.execute(STATEMENTS["define"], {"definitions": json.dumps(definitions)})
            for number, name in enumerate(self.nodes):
                params = {"name": name, "host": f"host-{number % 8}", "tasks": self.tasks}
                self._incarnations[name] = connection.execute(STATEMENTS["join"], params).fetchone()[0]  # type: ignore[index]

    @contextmanager
    def busy(self, events_per_second: int) -> Iterator[None]:
        """Meanwhile runs start and end, so that there are so many events a second."""
        stop = threading.Event()
        thread = threading.Thread(target=self._drive, args=(events_per_second, stop))
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def _drive(self, events_per_second: int, stop: threading.Event) -> None:
        pause = EVENTS_OF_A_RUN / events_per_second
        names = itertools.cycle(zip(self.tasks, itertools.cycle(self.nodes), strict=False))
        due = time.monotonic()
        with self._connect() as connection:
            for number, (task, node) in enumerate(names):
                self._start(connection, task, node)
                if len(self._under_way) > len(self.nodes):
                    self._end(connection, number)
                due += pause
                if stop.wait(max(0.0, due - time.monotonic())):
                    return

    def _start(self, connection: "psycopg.Connection[tuple[object, ...]]", task: str, node: str) -> None:
        connection.execute(STATEMENTS["due"], {"task": task})
        params = {"task": task, "node": node, "incarnation": self._incarnations[node]}
        run = connection.execute(STATEMENTS["start"], params).fetchone()
        if run is not None and run[0] is not None:
            self._under_way.append((int(str(run[0])), node))

    def _end(self, connection: "psycopg.Connection[tuple[object, ...]]", number: int) -> None:
        told = list(self._under_way)[1 : 1 + STEPS]
        for step, (run, node) in enumerate(told):
            progress = json.dumps(
                {"done": STEPS - step, "total": STEPS + 1, "message": f"step {STEPS - step}"}
            )
            params = {"incarnation": self._incarnations[node], "runs": [run], "progress": [progress]}
            connection.execute(STATEMENTS["progress"], params)
        run, node = self._under_way.popleft()
        status = "failed" if number % FAILING == 0 else "succeeded"
        connection.execute(
            STATEMENTS["finish"], {"run": run, "incarnation": self._incarnations[node], "status": status}
        )

    def _connect(self) -> "psycopg.Connection[tuple[object, ...]]":
        return psycopg.connect(self._url, autocommit=True, row_factory=namedtuple_row)  # type: ignore[return-value]
