"""A load client whose requests may all differ, which h2load's can't.

Worker processes with raw sockets and one epoll each: a framework's streams
would take most of the cores that the service needs. Each connection sends its
worker's next request when it has its answer. All connections are open before
the clock starts; it ends with the last answer.

Times are CLOCK_MONOTONIC, in seconds, so those of all workers can be compared.
"""

import multiprocessing
import os
import select
import socket
from array import array
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from time import monotonic, process_time

from benchmarks.apparatus.children import BenchmarkError
from benchmarks.apparatus.http import END_OF_HEAD, Address, body_bytes

WORKERS = 2
RECEIVE_BYTES = 256 * 1024
POLL_SECONDS = 0.5
SILENT_SECONDS_MAX = 60.0
OPEN_SECONDS_MAX = 60.0


@dataclass(frozen=True)
class Load:
    """What to send. seconds: repeat the requests for so long; 0: each of them once."""

    address: Address
    requests: Sequence[bytes]
    connections: int
    seconds: float = 0.0
    workers: int = WORKERS


@dataclass
class Outcome:
    """What came of it. latencies: seconds, one for each answer; cpu_seconds: the client's own."""

    began: float = float("inf")
    ended: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)
    unanswered: int = 0
    latencies: "array[float]" = field(default_factory=lambda: array("d"))
    cpu_seconds: float = 0.0

    @property
    def seconds(self) -> float:
        """From the first request to the last answer."""
        return self.ended - self.began

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.latencies) / self.seconds if self.latencies else 0.0

    def add(self, other: "Outcome") -> None:
        """Takes another worker's in."""
        self.began = min(self.began, other.began)
        self.ended = max(self.ended, other.ended)
        self.statuses += other.statuses
        self.unanswered += other.unanswered
        self.latencies.extend(other.latencies)
        self.cpu_seconds += other.cpu_seconds


def run(load: Load) -> Outcome:
    """Runs the load to its end. Raises BenchmarkError if a worker can't connect, or dies."""
    context = multiprocessing.get_context("fork")
    workers = min(load.workers, load.connections)
    lines: list[Connection] = []
    processes = []
    for number in range(workers):
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(load, (number, workers), theirs), daemon=True)
        process.start()
        theirs.close()
        lines.append(ours)
        processes.append(process)
    try:
        for line in lines:
            _receive(line, OPEN_SECONDS_MAX)
        for line in lines:
            line.send("go")
        total = Outcome()
        for line in lines:
            answer = _receive(line, load.seconds + 10 * SILENT_SECONDS_MAX)
            assert isinstance(answer, Outcome), "a worker ends with its outcome"
            total.add(answer)
        return total
    finally:
        for process in processes:
            process.kill()  # it has said all that it had to say, or has failed
            process.join()


def _receive(line: Connection, seconds_max: float) -> object:
    if not line.poll(seconds_max):
        raise BenchmarkError(f"a worker of the client said nothing for {seconds_max:g} s")
    try:
        answer = line.recv()
    except EOFError:
        raise BenchmarkError("a worker of the client died") from None
    if isinstance(answer, OSError):
        raise BenchmarkError(f"a worker of the client can't connect: {answer}")
    return answer


def _work(load: Load, place: tuple[int, int], line: Connection) -> None:
    """A worker's whole life: its share of the connections and of the requests."""
    number, workers = place
    # Ctrl-C is the parent's to hear; it ends its workers.
    os.setpgid(0, 0)
    connections = load.connections // workers + (number < load.connections % workers)
    worker = _Worker(load.requests[number::workers], load.seconds)
    try:
        worker.open(load.address, connections)
    except OSError as error:
        line.send(error)
        return
    line.send("open")
    line.recv()
    line.send(worker.run())


class _Member:
    """One connection and the answer that it waits for."""

    __slots__ = ("buffer", "missing_bytes", "since", "status", "stream")

    def __init__(self, stream: socket.socket) -> None:
        self.stream = stream
        self.buffer = b""
        self.missing_bytes = -1  # below 0: the head is not complete
        self.status = 0
        self.since = 0.0


class _Worker:
    def __init__(self, requests: Sequence[bytes], seconds: float) -> None:
        self._requests = deque(requests)
        self._seconds = seconds
        self._until = 0.0
        self._members: dict[int, _Member] = {}
        self._events = select.epoll()
        self._outcome = Outcome()

    def open(self, address: Address, connections: int) -> None:
        for _ in range(connections):
            stream = socket.create_connection((address.host, address.port), OPEN_SECONDS_MAX)
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            stream.setblocking(True)
            self._events.register(stream, select.EPOLLIN)
            self._members[stream.fileno()] = _Member(stream)

    def run(self) -> Outcome:
        outcome, cpu_before = self._outcome, process_time()
        outcome.began = outcome.ended = monotonic()
        self._until = outcome.began + self._seconds
        for member in list(self._members.values()):
            self._send_next(member)
        while self._members:
            for descriptor, _ in self._events.poll(POLL_SECONDS, len(self._members)):
                self._receive(self._members[descriptor])
            if monotonic() - outcome.ended > SILENT_SECONDS_MAX:
                for member in list(self._members.values()):
                    self._lose(member)
        if not self._seconds:
            outcome.unanswered += len(self._requests)  # nobody was left to send them
        outcome.cpu_seconds = process_time() - cpu_before
        return outcome

    def _send_next(self, member: _Member) -> None:
        now = monotonic()
        if not self._requests or (self._seconds and now >= self._until):
            self._drop(member)
            return
        request = self._requests.popleft()
        if self._seconds:
            self._requests.append(request)
        member.since = now
        try:
            member.stream.sendall(request)
        except OSError:
            self._lose(member)

    def _receive(self, member: _Member) -> None:
        try:
            data = member.stream.recv(RECEIVE_BYTES)
        except OSError:
            data = b""
        if not data:
            self._lose(member)
            return
        if member.missing_bytes < 0:
            data = member.buffer + data
            head_bytes = data.find(END_OF_HEAD)
            if head_bytes < 0:
                member.buffer = data
                return
            member.status = int(data[9:12])
            member.missing_bytes = head_bytes + len(END_OF_HEAD) + body_bytes(data[:head_bytes])
            member.buffer = b""
        member.missing_bytes -= len(data)
        if member.missing_bytes <= 0:
            self._finish(member)

    def _finish(self, member: _Member) -> None:
        outcome = self._outcome
        outcome.ended = monotonic()
        outcome.latencies.append(outcome.ended - member.since)
        outcome.statuses[member.status] += 1
        member.missing_bytes = -1
        self._send_next(member)

    def _lose(self, member: _Member) -> None:
        self._outcome.unanswered += 1
        self._drop(member)

    def _drop(self, member: _Member) -> None:
        self._members.pop(member.stream.fileno(), None)
        member.stream.close()  # takes it out of epoll, too
