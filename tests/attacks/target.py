"""One real node that is attacked, and what must be as before when an attack is over."""

import asyncio
import os
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fleet import Fleet, wait_until

IDLE_SECONDS, BODY_SECONDS, ANSWER_SECONDS = 3, 2, 2
CONNECTIONS_MAX = 12_000
SETTINGS = {
    "RINGFENCE_HTTP__CONNECTIONS_MAX": f"{CONNECTIONS_MAX}",
    "RINGFENCE_HTTP__IDLE_TIMEOUT": f"{IDLE_SECONDS}s",
    "RINGFENCE_HTTP__BODY_TIMEOUT": f"{BODY_SECONDS}s",
    "RINGFENCE_HTTP__ANSWER_TIMEOUT": f"{ANSWER_SECONDS}s",
    "RINGFENCE_LOGGING__LEVEL": "info",
}
"""It loses its patience soon, so that attacks on it are over soon."""
SECONDS_MAX = 60.0
MEMORY_BYTES_MORE = 64 << 20
"""What a node may keep after an attack: arenas that are not quite empty, caches of statements."""
USUAL_SECONDS_MORE = 0.25
"""By how much a request may be later than usual on a machine that others use, too."""
PROBES = 15
LEDGER = "select count(*), sum(balance), (select count(*) from entries), (select sum(amount) from entries) from users"
BODY = b'{"userId":1,"amount":1}'


def request(start: str, *lines: str, body: bytes = b"") -> bytes:
    """A request of these lines, with a host and, if it has a body, its length and type."""
    own = [f"Content-Length: {len(body)}", "Content-Type: application/json"] if body else []
    return "\r\n".join([f"{start} HTTP/1.1", "Host: localhost", *own, *lines, "", ""]).encode("latin1") + body


PROBE = request("POST /withdraw", "Idempotency-Key: probe", body=BODY)
"""A withdrawal that counted once, before all attacks: its repeats go all the way, and move nothing."""


@dataclass
class Target:
    """A node of its own process, on a database of its own."""

    fleet: Fleet
    database: Any

    @property
    def port(self) -> int:
        return self.fleet.port + 1

    def resident_bytes(self) -> int:
        """The memory of the node's process, without its children."""
        statm = Path(f"/proc/{self.fleet.processes[1].pid}/statm").read_text(encoding="ascii")
        return int(statm.split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def ledger(self) -> Any:
        """How many accounts and entries there are, and their sums."""
        with self.database.connect() as connection:
            return connection.execute(LEDGER).fetchone()

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to write bytes on."""
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def said(self, data: bytes, seconds_max: float = SECONDS_MAX) -> bytes:
        """All that comes back on a connection of its own until the node closes it."""
        reader, writer = await self.connect()
        try:
            async with asyncio.timeout(seconds_max):
                writer.write(data)
                return await reader.read()
        except ConnectionError:
            return b""
        finally:
            writer.close()

    async def answer(self, data: bytes) -> tuple[int, bytes]:
        """Status and body of the one answer to a request that does not ask to close."""
        head, _, body = (await self.said(closing(data))).partition(b"\r\n\r\n")
        return int(head.split(b" ", 2)[1]), body

    async def usual_seconds(self) -> float:
        """How long a normal withdrawal takes: the median of some."""
        took = []
        for _ in range(PROBES):
            began = time.perf_counter()
            status, _ = await self.answer(PROBE)
            took.append(time.perf_counter() - began)
            assert status == 200
        return statistics.median(took)

    @contextmanager
    def unharmed(self) -> Iterator[None]:
        """Whatever happens within: then it answers as usual, its memory is back, and no money has moved."""
        usual = asyncio.run(self.usual_seconds())
        ledger, memory = self.ledger(), self.resident_bytes()
        yield
        wait_until(
            lambda: asyncio.run(self.usual_seconds()) < 3 * usual + USUAL_SECONDS_MORE,
            SECONDS_MAX,
            "usual time",
        )
        wait_until(
            lambda: self.resident_bytes() < memory + MEMORY_BYTES_MORE,
            SECONDS_MAX,
            f"memory back from {self.resident_bytes() >> 20} MiB to {memory >> 20}",
        )
        assert self.ledger() == ledger


def closing(data: bytes) -> bytes:
    """The same request, asking to close the connection after its answer."""
    head, end, body = data.partition(b"\r\n\r\n")
    return head + b"\r\nConnection: close" + end + body
