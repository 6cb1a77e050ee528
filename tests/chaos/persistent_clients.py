"""Clients as they should be: each request has a key, and is repeated until it has its outcome.

They know nothing of the product but HTTP, so that what they count is a witness.
"""

import asyncio
import json
from collections import Counter
from dataclasses import dataclass, field

ANSWER_SECONDS_MAX = 15.0
OUTCOME_SECONDS_MAX = 90.0
PAUSE_SECONDS = 0.05


@dataclass
class Witness:
    """What the clients saw. outcomes: key -> (status, body) of the first answer that counts."""

    outcomes: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    repeats: Counter[str] = field(default_factory=Counter)

    @property
    def statuses(self) -> Counter[int]:
        return Counter(status for status, _ in self.outcomes.values())


class Clients:
    """Many connections to one address, and requests that they share among them."""

    def __init__(self, port: int, user_id: int, amount: int) -> None:
        self._port = port
        self._body = json.dumps({"userId": user_id, "amount": amount}).encode()
        self.witness = Witness()
        self.answered = asyncio.Event()
        self._answered_at = 0

    async def send(self, keys: list[str], connections: int, notice_at: int) -> Witness:
        """Sends a withdrawal for each key; sets `answered` when so many have their outcome."""
        self._answered_at = notice_at
        waiting = list(reversed(keys))

        async def work() -> None:
            connection = None
            while waiting:
                connection = await self._until_outcome(waiting.pop(), connection)
            if connection is not None:
                connection[1].close()

        await asyncio.gather(*(work() for _ in range(connections)))
        return self.witness

    async def _until_outcome(self, key, connection):
        async with asyncio.timeout(OUTCOME_SECONDS_MAX):
            while True:
                try:
                    connection = connection or await asyncio.open_connection("127.0.0.1", self._port)
                    status, body, stays = await self._ask(key, *connection)
                except (OSError, EOFError, TimeoutError) as error:
                    self.witness.repeats[type(error).__name__] += 1
                    if connection is not None:
                        connection[1].close()
                    connection = None
                else:
                    if not stays:
                        connection[1].close()
                        connection = None
                    if status in {200, 409} and b"idempotency_conflict" not in body:
                        self.witness.outcomes[key] = (status, body)
                        if len(self.witness.outcomes) == self._answered_at:
                            self.answered.set()
                        return connection
                    assert status == 503 or b"idempotency_conflict" in body, (status, body)
                    self.witness.repeats[json.loads(body)["code"]] += 1
                await asyncio.sleep(PAUSE_SECONDS)

    async def _ask(self, key, reader, writer):
        writer.write(
            b"POST /withdraw HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Idempotency-Key: %s\r\nContent-Length: %d\r\n\r\n%s"
            % (key.encode(), len(self._body), self._body)
        )
        async with asyncio.timeout(ANSWER_SECONDS_MAX):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin1").lower()
            length = int(head.partition("content-length:")[2].split("\r\n")[0])
            body = await reader.readexactly(length)
        return int(head.split()[1]), body, "connection: close" not in head
