"""How a burst ended, for people and for programs."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from server.cli.answers import REFUSED, SUCCEEDED
from server.cli.tally import Expected, Latencies, Tally, differences, shown


@dataclass(frozen=True)
class Course:
    """How the burst went. Seconds run from the first request sent to the last answer."""

    kinds: Mapping[str, int]
    answered: int
    connect_seconds: float
    send_seconds: float
    seconds: float
    latencies: Latencies | None

    @property
    def requests(self) -> int:
        return sum(self.kinds.values())

    @property
    def per_second(self) -> float:
        return self.answered / self.seconds if self.seconds > 0 else 0.0


@dataclass(frozen=True)
class Verdict:
    """What happened to one account, and what should have."""

    url: str
    user_id: int
    course: Course
    tally: Tally
    expected: Expected

    @property
    def differences(self) -> list[str]:
        """None means exactly right."""
        return differences(self.expected, self.tally)

    def as_object(self) -> dict[str, Any]:
        """The form for programs; the names are stable."""
        return {
            "url": self.url,
            "userId": self.user_id,
            "succeeded": self.tally.succeeded,
            "refused": self.tally.refused,
            "others": self.tally.others,
            "balance": self.tally.balance,
            "entriesSum": self.tally.entries_sum,
            "connectSeconds": self.course.connect_seconds,
            "sendSeconds": self.course.send_seconds,
            "seconds": self.course.seconds,
            "perSecond": self.course.per_second,
            "latencySeconds": asdict(self.course.latencies) if self.course.latencies else None,
            "correct": not self.differences,
            "differences": self.differences,
        }

    def show(self, console: Console) -> None:
        """The form for people: a table, and a line that says what differs."""
        console.print(self._table(), markup=False)
        if self.differences:
            text = f"Wrong: {'; '.join(self.differences)}."
            console.print(text, style="bold red", markup=False, soft_wrap=True)
        else:
            console.print("Exactly what the arithmetic says.", style="green")

    def _table(self) -> Table:
        tally, expected, course = self.tally, self.expected, self.course
        table = Table(title=f"{course.requests:,} withdrawals at one moment, account {self.user_id}")
        table.add_column("")
        table.add_column("measured", justify="right")
        table.add_column("expected", justify="right")
        table.add_row(SUCCEEDED, f"{tally.succeeded:,}", f"{expected.succeeded:,}")
        table.add_row(REFUSED, f"{tally.refused:,}", f"{expected.refused:,}")
        for kind, count in (tally.others or {"anything else": 0}).items():
            table.add_row(kind, f"{count:,}", "0")
        table.add_row("final balance", shown(tally.balance), f"{expected.balance:,}")
        table.add_row("sum of entries", shown(tally.entries_sum), f"{expected.balance:,}", end_section=True)
        table.add_row("seconds to connect", f"{course.connect_seconds:.3f}")
        table.add_row("seconds to send all", f"{course.send_seconds:.3f}")
        table.add_row("seconds to the last answer", f"{course.seconds:.3f}")
        table.add_row("answers per second", f"{course.per_second:,.0f}")
        for name, seconds in asdict(course.latencies).items() if course.latencies else ():
            table.add_row(f"latency {name}", f"{seconds * 1000:,.1f} ms")
        return table
