"""Rows of nodes, tasks and runs as the product writes them, without a node that runs."""

import json
from datetime import UTC, datetime

from server.cron.catalogue import Catalogue

FAR = datetime(2100, 1, 1, tzinfo=UTC)


class Cluster:
    """What nodes do to the tables, by the functions that they call."""

    def __init__(self, database) -> None:
        self.database = database
        self.connection = database.connect()
        self.incarnations: dict[str, int] = {}

    def one(self, statement: str, *params):
        return self.connection.execute(statement, params).fetchone()[0]

    def join(self, *names: str, tasks=("backup", "report", "sweep")) -> None:
        for name in names:
            self.incarnations[name] = self.one(
                """select incarnation from register_node(%s, 'host-a', 4711, 'http://127.0.0.1:8001', '0.1.0', %s,
                   interval '15 s', 'boot', '/lock', 1, 1)""",
                name,
                list(tasks),
            )

    def define(self, catalogue: Catalogue, *others: str) -> None:
        now = self.one("select clock_timestamp()")
        definitions = [task.for_database(1, now) for task in catalogue.tasks.values()]
        for name in others:
            definitions.append(definitions[0] | {"name": name, "hash": "other", "definition": {"every": 60}})
        self.one("select define_tasks(%s)", json.dumps(definitions))

    def start(self, task: str, node: str) -> int:
        expected = self.one("select next_run_at from tasks where name = %s", task)
        return self.one(
            "select run_id from start_run(%s, %s, %s, %s, %s)",
            task,
            node,
            self.incarnations[node],
            expected,
            FAR,
        )

    def finish(
        self, run_id: int, node: str, status="succeeded", result=None, output=None, error=None
    ) -> None:
        outcome = self.one(
            "select finish_run(%s, %s, %s, %s, %s, %s)",
            run_id, self.incarnations[node], status, result, output, error,
        )  # fmt: skip
        assert outcome == "recorded"

    def as_owner(self, statement: str, *params) -> None:
        with self.database.connect_as_owner() as owner:
            owner.execute(statement, params)

    def expire(self, node: str) -> None:
        self.as_owner(
            "update nodes set lease_expires_at = clock_timestamp() - interval '1 s' where name = %s", node
        )
