"""What every section works with: the contestants, their accounts, and how much to measure."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.apparatus import h2load, packages
from benchmarks.apparatus.books import Books, audit
from benchmarks.apparatus.contestants import Contestant, Ground, Peer, Ringfence
from benchmarks.apparatus.http import Address, withdrawal
from benchmarks.apparatus.postgres import Postgres

AMOUNT = 2
PATH = "/withdraw"
PEER_PORTS_ABOVE = 50
NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class Sizes:
    """How much is measured. accounts: the crowd of sections that spread over many."""

    requests: int = 10_000
    connections: int = 1_000
    connections_max: int = 10_000
    accounts: int = 100_000
    sustained_seconds: float = 60.0
    idle_seconds: float = 20.0
    lone_requests: int = 200
    lone_blocks: int = 20
    bulk_withdrawals: int = 200_000
    batch: int = 5_000
    entries: int = 1_000_000
    bursts: int = 100
    instances: tuple[int, ...] = (1, 2, 4, 6, 8, 12, 16)


QUICK = Sizes(
    requests=2_000,
    connections=200,
    connections_max=2_000,
    accounts=2_000,
    sustained_seconds=3.0,
    idle_seconds=3.0,
    lone_requests=50,
    lone_blocks=4,
    bulk_withdrawals=20_000,
    batch=1_000,
    entries=50_000,
    bursts=5,
    instances=(1, 2),
)


@dataclass(frozen=True)
class Stage:
    """Everything that a section needs."""

    ground: Ground
    postgres: Postgres
    books: Books
    peer_books: Books
    runs: int
    sizes: Sizes = Sizes()

    def contestants(self) -> list[Contestant]:
        """All of them, those that can't take part here included."""
        return [self.ringfence(), self.empty(), self.withdraw_each(), *self._strangers()]

    def ringfence(self) -> Ringfence:
        """(a)"""
        return Ringfence(self.ground, self.books)

    def empty(self) -> Peer:
        """(b)"""
        return Peer("b", "Tornado, empty handler", self._python("tornado_empty"), self._peer_ground())

    def withdraw_each(self) -> Peer:
        """(c)"""
        argv = self._python("withdraw_each")
        return Peer("c", "Tornado, a withdraw() each", argv, self._peer_ground(), self.books)

    def _strangers(self) -> Iterator[Contestant]:
        why = packages.missing_python("fastapi", "uvicorn", "httptools", "asyncpg")
        argv = self._python("fastapi_asyncpg")
        yield Peer("d", "FastAPI, asyncpg", argv, self._peer_ground(), self.peer_books, why)
        for letter, name, folder in (
            ("e", "Express, pg", "express_pg"),
            ("f", "Express, Sequelize", "express_sequelize"),
        ):
            target, why = packages.install_node_peer(folder, self.ground.folder / "node")
            argv = [packages.node(), str(target / "server.js")]
            yield Peer(letter, name, argv, self._peer_ground(), self.peer_books, why)

    def burst(self, contestant: Contestant, address: Address, shape: h2load.Shape) -> "Checked":
        """One burst on a fresh account that suffices for half of it, and the arithmetic of it."""
        body, user_id = self.ground.folder / "body.json", 1
        opening = shape.requests * AMOUNT // 2
        if contestant.books is not None:
            user_id = contestant.books.open_account(opening)
            contestant.books.checkpoint()
        body.write_bytes(withdrawal(user_id, AMOUNT))
        burst = h2load.load(address, PATH, body, shape)
        return Checked(burst, self._wrong(contestant, burst, (user_id, opening), shape))

    def warm_up(self, contestant: Contestant, address: Address) -> None:
        """A burst that nobody counts: it opens connections to the database, lets just-in-time
        compilers work, and gives every process the memory that a thousand connections take."""
        self.burst(contestant, address, self.shape(self.sizes.connections))

    def shape(self, connections: int) -> h2load.Shape:
        """The burst of this run's size over so many connections."""
        return h2load.Shape(self.sizes.requests, connections)

    def with_instances(self, instances: int) -> Ringfence:
        """(a) with another number of instances."""
        return Ringfence(self.ground, self.books, instances)

    @staticmethod
    def _wrong(
        contestant: Contestant, burst: h2load.Burst, account: tuple[int, int], shape: h2load.Shape
    ) -> list[str]:
        expected = shape.requests // 2 if contestant.books is not None else shape.requests
        told = f"({contestant.letter}) {contestant.name}, {shape.connections:,} connections: "
        wrong = []
        if (burst.succeeded, burst.refused) != (expected, shape.requests - expected):
            wrong.append(
                f"{told}{burst.succeeded:,} succeeded, {burst.refused:,} refused, {burst.other:,} other "
                f"answers, {burst.unanswered:,} without an answer; expected {expected:,} to succeed"
            )
        if contestant.books is not None:
            user_id, opening = account
            wrong += [told + fault for fault in audit(contestant.books, user_id, opening, expected, AMOUNT)]
        return wrong

    def _peer_ground(self) -> Ground:
        return replace(self.ground, port=self.ground.port + PEER_PORTS_ABOVE)

    @staticmethod
    def _python(name: str) -> list[str]:
        return [sys.executable, str(Path(packages.PEERS, f"{name}.py"))]


@dataclass(frozen=True)
class Checked:
    """A burst, and what was wrong with it."""

    burst: h2load.Burst
    wrong: list[str]


def missing(contestants: Sequence[Contestant]) -> list[str]:
    """Who can't take part, and why."""
    absent = [contestant for contestant in contestants if contestant.missing]
    return [f"({contestant.letter}) {contestant.name}: {contestant.missing}." for contestant in absent]


def note(text: str) -> None:
    """Progress, for whoever waits."""
    print(f"  {text}", file=sys.stderr, flush=True)
