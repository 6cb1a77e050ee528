"""Section `lone`: one request after another on one connection, while nobody else asks anything.

Ringfence and the plain withdraw() stand side by side and get their requests in
alternating blocks, a fraction of a second each, so that both meet the same
moments of the disk.
"""

import contextlib
import socket
from collections.abc import Iterator
from time import perf_counter

from benchmarks.apparatus.children import BenchmarkError
from benchmarks.apparatus.contestants import Contestant
from benchmarks.apparatus.http import END_OF_HEAD, Address, body_bytes, post, withdrawal
from benchmarks.report.figures import Spread, milliseconds, percentile, ratios, times
from benchmarks.report.section import Section, Table, Target
from benchmarks.sections.stage import AMOUNT, PATH, Stage, note

SECONDS_MAX = 30.0
RECEIVE_BYTES = 16 * 1024


class Caller:
    """One connection that sends the same request again and again; each must succeed."""

    def __init__(self, address: Address, user_id: int) -> None:
        self._request = post(address, PATH, withdrawal(user_id, AMOUNT))
        self._stream = socket.create_connection((address.host, address.port), SECONDS_MAX)
        self._stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self) -> None:
        """Ends the connection."""
        self._stream.close()

    def latencies(self, count: int) -> list[float]:
        """Seconds from the sending of each request to its whole answer."""
        return [self._one() for _ in range(count)]

    def _one(self) -> float:
        began = perf_counter()
        self._stream.sendall(self._request)
        answer = b""
        while (head_bytes := answer.find(END_OF_HEAD)) < 0 or len(answer) < (
            head_bytes + len(END_OF_HEAD) + body_bytes(answer[:head_bytes])
        ):
            data = self._stream.recv(RECEIVE_BYTES)
            if not data:
                raise BenchmarkError("a contestant closed the connection of a lone request")
            answer += data
        seconds = perf_counter() - began
        if not answer.startswith(b"HTTP/1.1 200 "):
            raise BenchmarkError(f"a lone request got {answer[:300]!r}")
        return seconds


def measure(stage: Stage) -> Section:
    """The section."""
    sizes = stage.sizes
    contestants: list[Contestant] = [stage.ringfence(), stage.withdraw_each()]
    blocks: dict[str, list[list[float]]] = {contestant.letter: [] for contestant in contestants}
    with contextlib.ExitStack() as stack:
        callers = {}
        for contestant in contestants:
            address = stack.enter_context(contestant.up())
            user_id = stage.books.open_account(10**12)
            callers[contestant.letter] = stack.enter_context(_caller(address, user_id))
        stage.books.checkpoint()
        for caller in callers.values():
            caller.latencies(sizes.lone_requests)
        note(f"lone requests, {sizes.lone_blocks * stage.runs} blocks of {sizes.lone_requests}")
        for number in range(sizes.lone_blocks * stage.runs):
            for letter in callers if number % 2 == 0 else reversed(callers):
                blocks[letter].append(callers[letter].latencies(sizes.lone_requests))
    return _section(stage, {letter: [sorted(block) for block in found] for letter, found in blocks.items()})


@contextlib.contextmanager
def _caller(address: Address, user_id: int) -> Iterator[Caller]:
    caller = Caller(address, user_id)
    try:
        yield caller
    finally:
        caller.close()


def _section(stage: Stage, blocks: dict[str, list[list[float]]]) -> Section:
    medians = {letter: [percentile(block, 50) for block in found] for letter, found in blocks.items()}
    names = {"a": "(a) Ringfence", "c": "(c) Tornado, a withdraw() each"}
    rows = []
    for letter, found in blocks.items():
        everything = sorted(seconds for block in found for seconds in block)
        spread = Spread.of(medians[letter])
        rows.append(
            (
                names[letter],
                *(milliseconds(percentile(everything, percent)) for percent in (50, 90, 99)),
                f"{milliseconds(spread.low)}–{milliseconds(spread.high)}",
                times(ratios(medians[letter], medians["c"])),
            )
        )
    table = Table(
        f"A lone request, milliseconds, {len(rows) and len(medians['a']) * stage.sizes.lone_requests:,} each",
        ("contestant", "p50", "p90", "p99", "medians of the blocks", "times (c)"),
        rows,
    )
    ratio = ratios(medians["a"], medians["c"]).median
    target = Target("lone request's latency, times (c)", 1.1, ratio, at_most=True)
    return Section("lone", [table], [target], data={"medians_seconds": medians})
