"""Requests as bytes, as no client library sends them, and everything that comes back."""

import asyncio
from dataclasses import dataclass

ANSWER_SECONDS_MAX = 20
PROBE = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True)
class RawAnswer:
    """One answer: its start line, its headers in their order, its body."""

    start: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for known, value in self.headers if known == name), None)


@dataclass(frozen=True)
class Exchange:
    """What one connection gave. is_kept: whether it took another request afterwards."""

    answers: tuple[RawAnswer, ...]
    is_kept: bool


def post(body: bytes, *lines: str, path: str = "/withdraw", version: str = "1.1") -> bytes:
    """A POST of JSON with these further lines in its head."""
    head = [f"POST {path} HTTP/{version}", "Host: x", "Content-Type: application/json"]
    return raw(*head, f"Content-Length: {len(body)}", *lines, body=body)


def raw(*lines: str, body: bytes = b"") -> bytes:
    """A request of exactly these lines."""
    return "\r\n".join([*lines, "", ""]).encode("latin1") + body


async def exchange(port: int, request: bytes, answers: int = 1) -> Exchange:
    """Sends bytes over a connection of their own and reads so many answers; fewer if it closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(ANSWER_SECONDS_MAX):
            writer.write(request)
            found = [one for _ in range(answers) if (one := await read_raw(reader, request)) is not None]
            if found and " 413 " in found[-1].start:
                # The server waits for the rest of that body, and would take a probe for it.
                return Exchange(tuple(found), is_kept=False)
            return Exchange(tuple(found), await _is_kept(reader, writer))
    finally:
        writer.close()


async def read_raw(reader: asyncio.StreamReader, request: bytes = b"") -> RawAnswer | None:
    """The next answer on a connection; None when it was closed instead."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin1")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    start, *lines = head.split("\r\n")[:-2]
    pairs = tuple((name, value) for name, _, value in (line.partition(": ") for line in lines))
    length = int(dict(pairs).get("Content-Length", "0"))
    body = b"" if request.startswith(b"HEAD ") else await reader.readexactly(length)
    return RawAnswer(start, pairs, body)


async def _is_kept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    try:
        writer.write(PROBE)
        await writer.drain()
    except ConnectionError:
        return False
    return await read_raw(reader) is not None
