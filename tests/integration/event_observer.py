"""A client of GET /events that reads the stream byte by byte, as the standard says, and can be cut off."""

import asyncio
import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tornado.httputil import HTTPHeaders


@dataclass
class Sent:
    """One event of the stream. id: None where it had none."""

    kind: str
    id: int | None
    data: Any


class Observer:
    """One connection. last_id: what a browser would send as Last-Event-ID.

    receive_bytes: how much the kernel may hold that this client has not read.
    """

    def __init__(
        self, port: int, query: str = "", last_id: int | None = None, *, receive_bytes: int | None = None
    ) -> None:
        self.last_id = last_id
        self.comments = 0
        self._port = port
        self._query = query
        self._receive_bytes = receive_bytes
        self._waiting: list[Sent] = []

    async def __aenter__(self) -> "Observer":
        sock = socket.socket()
        if self._receive_bytes is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_bytes)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", self._port))
        limit = self._receive_bytes or 2**16
        self.reader, self.writer = await asyncio.open_connection(sock=sock, limit=limit)
        headers: Mapping[str, str] = {} if self.last_id is None else {"Last-Event-ID": str(self.last_id)}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self.writer.write(f"GET /events{self._query} HTTP/1.1\r\nHost: test\r\n{lines}\r\n".encode())
        head = (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 20)).decode("latin1")
        start, _, rest = head.partition("\r\n")
        self.status = int(start.split()[1])
        self.headers = HTTPHeaders.parse(rest.rstrip("\r\n") + "\r\n")
        return self

    async def __aexit__(self, *_: object) -> None:
        self.cut()

    def cut(self) -> None:
        """Ends the connection without a word, as a lost network does."""
        self.writer.transport.abort()

    async def begun(self) -> int:
        """The place at which the stream began."""
        async with asyncio.timeout(20):
            while not self.comments:
                self._waiting += await self._blocks()
        assert self.last_id is not None, "a stream begins with its place"
        return self.last_id

    async def next(self) -> Sent:
        """The next event; comments and bare ids are only noted. EOFError at the stream's end."""
        async with asyncio.timeout(20):
            while not self._waiting:
                self._waiting += await self._blocks()
        return self._waiting.pop(0)

    async def _blocks(self) -> list[Sent]:
        chunk = await self._chunk()
        if not chunk:
            raise EOFError("the stream has ended")
        blocks = map(self._read, chunk.decode().removesuffix("\n\n").split("\n\n"))
        return [block for block in blocks if block is not None]

    def _read(self, block: str) -> Sent | None:
        kind, number, data = "message", None, None
        for line in block.split("\n"):
            name, _, value = line.partition(": ")
            if not name:
                self.comments += 1
            elif name == "id":
                number = self.last_id = int(value)
            elif name == "event":
                kind = value
            elif name == "data":
                data = json.loads(value)
        return None if data is None else Sent(kind, number, data)

    async def _chunk(self) -> bytes:
        size = int(await self.reader.readline(), 16)
        chunk = await self.reader.readexactly(size)
        await self.reader.readexactly(2)
        return chunk
