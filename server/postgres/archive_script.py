"""The SQL that pg_dump writes, in pieces that a connection can execute.

Executed by our own driver and not by psql: the driver speaks TLS whatever the programs were built
with, and the whole is one transaction together with what we add to it.

Pure: lines in, pieces out.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from server.errors import TransferError

_COPY = re.compile(rb"COPY .* FROM stdin;\n$")
_END_OF_ROWS = b"\\.\n"
_DOLLAR_QUOTE = re.compile(rb"\$[A-Za-z_0-9]*\$")
# Asked of every server, and unknown before 17. It is zero there as everywhere by default.
_SINCE_17 = b"SET transaction_timeout = 0;\n"
# Minor releases since November 2026 number the columns for themselves among the options of each. A pg_dump
# from before tells of that as if a person had set it, and a server from before knows no such option.
_NUMBERED_COLUMN = re.compile(rb"ALTER TABLE .* ALTER COLUMN .* SET \(pg_attver=\d+\);\n$")


@dataclass(frozen=True)
class Statements:
    """Some statements, to be sent as one text."""

    text: bytes


@dataclass(frozen=True)
class Rows:
    """A COPY, and the lines that belong to it; they must be read before the next piece."""

    statement: bytes
    lines: Iterator[bytes]

    @property
    def table(self) -> str:
        """Whose rows they are, for people."""
        return self.statement.split()[1].decode().removeprefix("public.")


def pieces(lines: Iterable[bytes], *, server_major: int) -> Iterator[Statements | Rows]:
    """The script in the order in which it stands."""
    source = iter(lines)
    text: list[bytes] = []
    quote: bytes | None = None
    for line in source:
        if quote is None and line.startswith(b"\\"):
            continue  # \restrict and its like: for psql, which nobody asks
        if quote is None and line == _SINCE_17 and server_major < 17:
            continue
        if quote is None and _NUMBERED_COLUMN.match(line):
            continue
        if quote is None and _COPY.match(line):
            yield Statements(b"".join(text))
            text.clear()
            yield Rows(line.rstrip(b";\n"), _until_end(source))
            continue
        text.append(line)
        quote = _quote_after(line, quote)
    yield Statements(b"".join(text))


def _until_end(source: Iterator[bytes]) -> Iterator[bytes]:
    for line in source:
        if line == _END_OF_ROWS:
            return
        yield line
    raise TransferError("the backup ends in the middle of a table's rows")


def _quote_after(line: bytes, quote: bytes | None) -> bytes | None:
    """The dollar quote that is open after a line: what stands in a function's body is no COPY of ours."""
    for mark in _DOLLAR_QUOTE.findall(line):
        if quote is None:
            quote = mark
        elif mark == quote:
            quote = None
    return quote
