"""What came back on one connection: HTTP/1.1 answers, read byte by byte, and what each means.

A client library would cost ten times as much as the request that it sends, and
the burst shares its cores with the service that it measures. So this reads
what an answer to one request can look like, and calls anything else malformed:
chunked bodies are not read, since the service sends none.

Pure: bytes in, answers out; no clock, no sockets.
"""

import json
from dataclasses import dataclass

HEAD_BYTES_MAX = 16 * 1024
BODY_BYTES_MAX = 1024 * 1024

SUCCEEDED = "succeeded"
REFUSED = "refused for insufficient funds"


class MalformedAnswerError(ValueError):
    """The bytes on the connection are not an answer that this client can read."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One complete answer."""

    status: int
    body: bytes


class AnswerReader:
    """Collects the bytes of one answer, in pieces of any size.

    What follows a complete answer is ignored: one request, one answer.
    """

    __slots__ = ("_body_bytes", "_body_from", "_received", "_status")

    def __init__(self) -> None:
        self._received = b""
        self._status = 0
        self._body_from = 0
        self._body_bytes: int | None = None

    @property
    def started(self) -> bool:
        """Whether anything has come at all."""
        return bool(self._received)

    def feed(self, data: bytes) -> Answer | None:
        """The answer once it is complete. Raises MalformedAnswerError."""
        self._received += data
        if self._body_from == 0 and not self._read_head():
            return None
        if len(self._received) - self._body_from > BODY_BYTES_MAX:
            raise MalformedAnswerError(f"a body of more than {BODY_BYTES_MAX} bytes")
        if self._body_bytes is None or len(self._received) < self._body_from + self._body_bytes:
            return None
        return Answer(self._status, self._received[self._body_from : self._body_from + self._body_bytes])

    def end(self) -> Answer | None:
        """The answer if the end of the connection is what completes it: a body without a length."""
        if self._body_from == 0 or self._body_bytes is not None:
            return None
        return Answer(self._status, self._received[self._body_from :])

    def _read_head(self) -> bool:
        """Reads the head once it is there, passing over interim answers (1xx)."""
        while True:
            end = self._received.find(b"\r\n\r\n")
            if end > HEAD_BYTES_MAX or (end < 0 and len(self._received) > HEAD_BYTES_MAX):
                raise MalformedAnswerError(f"a head of more than {HEAD_BYTES_MAX} bytes")
            if end < 0:
                return False
            status, body_bytes = _parse_head(self._received[:end])
            if status >= 200:
                self._status, self._body_bytes, self._body_from = status, body_bytes, end + 4
                return True
            self._received = self._received[end + 4 :]


def _parse_head(head: bytes) -> tuple[int, int | None]:
    """Status, and the length of the body, or None if the connection's end tells it."""
    first, *fields = head.split(b"\r\n")
    version, _, rest = first.partition(b" ")
    digits = rest[:3]
    if not version.startswith(b"HTTP/1.") or len(digits) != 3 or not digits.isdigit():
        raise MalformedAnswerError(f"not a status line: {first[:80]!r}")
    status = int(digits)
    if status in {204, 304}:
        return status, 0
    body_bytes = None
    for field in fields:
        name, _, value = field.partition(b":")
        match name.strip().lower():
            case b"transfer-encoding":
                raise MalformedAnswerError("a body in chunks")
            case b"content-length":
                body_bytes = _parse_length(value.strip())
    return status, body_bytes


def _parse_length(digits: bytes) -> int:
    if not digits.isdigit() or len(digits) > 12:
        raise MalformedAnswerError(f"not a length: {digits[:80]!r}")
    return int(digits)


def kind_of(answer: Answer) -> str:
    """What an answer to POST /withdraw means; anything unexpected by its status and code."""
    if answer.status == 200:
        return SUCCEEDED
    code = _problem_code(answer.body)
    if answer.status == 409 and code == "insufficient_funds":
        return REFUSED
    return f"HTTP {answer.status} {code}" if code else f"HTTP {answer.status}"


def _problem_code(body: bytes) -> str | None:
    try:
        problem = json.loads(body)
    except ValueError:
        # A proxy or a crash may answer with a page; its status is then all that is known.
        return None
    code = problem.get("code") if isinstance(problem, dict) else None
    return code[:60] if isinstance(code, str) else None
