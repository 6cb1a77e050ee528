"""Section `scaling`: what one more instance costs, at rest and in a burst.

At rest   CPU and memory of node and guardian together (see idle.py), and what
          the heartbeats ask of PostgreSQL: transactions, bytes of its log, and
          the CPU of all its processes.
Burst     on one account, with all those instances behind the port.
"""

import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks import idle
from benchmarks.apparatus.books import STATEMENTS, Books
from benchmarks.apparatus.http import Address
from benchmarks.report.figures import count
from benchmarks.report.section import Section, Table
from benchmarks.sections.stage import Stage, note

SETTLE_SECONDS = 5.0  # the start's own work is over, and the members have agreed


@dataclass(frozen=True)
class Cost:
    """What a number of instances costs; at rest, unless it says something else."""

    instances: int
    rss_mib: float
    pss_mib: float
    cpu_percent: float
    transactions: float
    log_bytes: float
    database_cpu_percent: float
    burst_rate: float

    def row(self) -> tuple[str, ...]:
        """A row of the table."""
        return (
            str(self.instances),
            f"{self.rss_mib / self.instances:.1f}",
            f"{self.pss_mib:.0f}",
            f"{self.cpu_percent / self.instances:.2f}",
            f"{self.transactions / self.instances:.1f}",
            count(self.log_bytes / self.instances),
            f"{self.database_cpu_percent:.2f}",
            count(self.burst_rate),
        )


COLUMNS = (
    "instances",
    "RSS each, MiB",
    "PSS of all, MiB",
    "CPU each, % of a core",
    "transactions/s each",
    "log bytes/s each",
    "PostgreSQL's CPU, %",
    "burst, answers/s",
)


def measure(stage: Stage) -> Section:
    """The section."""
    costs, wrong = list[Cost](), list[str]()
    for instances in stage.sizes.instances:
        note(f"scaling, {instances} instances")
        ringfence = stage.with_instances(instances)
        with ringfence.up() as address:
            at_rest = _at_rest(stage, address)
            stage.warm_up(ringfence, address)
            bursts = [
                stage.burst(ringfence, address, stage.shape(stage.sizes.connections))
                for _ in range(stage.runs)
            ]
        wrong += [fault for checked in bursts for fault in checked.wrong]
        rates = sorted(checked.burst.rate for checked in bursts)
        costs.append(Cost(instances, *at_rest, burst_rate=rates[len(rates) // 2]))
    table = Table("What instances cost", COLUMNS, [cost.row() for cost in costs])
    return Section("scaling", [table], wrong=wrong, data={"costs": [vars(cost) for cost in costs]})


def _at_rest(stage: Stage, address: Address) -> tuple[float, float, float, float, float, float]:
    """RSS, PSS, CPU of all nodes; transactions, log bytes and CPU of PostgreSQL; the last four a second."""
    time.sleep(SETTLE_SECONDS)
    nodes = [node["pid"] for node in idle.read_nodes(address.url)]
    began, database = time.monotonic(), _database(stage.books)
    before = [idle.sample(pid) for pid in nodes]
    busy = _server_ticks(stage.postgres.pid)
    time.sleep(stage.sizes.idle_seconds)
    after = [idle.sample(pid) for pid in nodes]
    busy = _server_ticks(stage.postgres.pid) - busy
    now = _database(stage.books)
    seconds = time.monotonic() - began
    return (
        sum(one.rss_mib for one in after),
        sum(one.pss_mib for one in after),
        100
        * sum(last.cpu_seconds - first.cpu_seconds for first, last in zip(before, after, strict=True))
        / seconds,
        (now[0] - database[0]) / seconds,
        (now[1] - database[1]) / seconds,
        100 * busy / idle.TICKS_PER_SECOND / seconds,
    )


def _database(books: Books) -> tuple[int, int]:
    """Transactions and bytes of the log since the server began."""
    with books.database.connect() as connection:
        row = connection.execute(STATEMENTS["work"]).fetchone()
    assert row is not None, "one row"
    return int(str(row[0])), int(str(row[1]))


def _server_ticks(postmaster: int) -> int:
    """CPU of PostgreSQL's living processes and of those that it has reaped, in ticks."""
    fields = idle.read(Path(f"/proc/{postmaster}/stat")).rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) + sum(map(idle.cpu_ticks, idle.children(postmaster)))
