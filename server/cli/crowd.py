"""Many connections at once, one request on each: the client of `ringfence burst`.

Three steps, each with an end that the caller sets: open() every connection,
send() the same request on all of them in one sweep, collect() every answer.

Raw sockets and one epoll: ten thousand streams of a framework would take most
of the cores that the service needs, and then the client is what gets measured.

Times are time.perf_counter(), in seconds; `until` is a moment on that clock.
"""

import errno
import os
import select
import socket
import ssl
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import perf_counter

from server.cli.answers import Answer, AnswerReader, MalformedAnswerError, kind_of
from server.cli.handshakes import Tls, go_on, has_closed, received

CONNECTS_UNDER_WAY_MAX = 500
CONNECT_SECONDS_MAX = 5.0
RETRY_SECONDS = 0.1
POLL_SECONDS = 0.05
RECEIVE_BYTES = 16 * 1024
EVENTS_MAX = 1024

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Reply:
    """How one request ended: with an answer after some seconds, or with a fault."""

    answer: Answer | None
    fault: str
    seconds: float

    @property
    def kind(self) -> str:
        """Under what it is counted."""
        return kind_of(self.answer) if self.answer else f"network: {self.fault}"


class _Member:
    """One connection, and what became of it."""

    __slots__ = ("fault", "reader", "reply", "since", "stream")

    def __init__(self) -> None:
        self.stream: socket.socket | None = None
        self.since = 0.0  # of the connect, then of the sending
        self.fault = "not connected"
        self.reader = AnswerReader()
        self.reply: Reply | None = None


class Crowd:
    """`size` connections to one address; a context that closes whatever is still open.

    tls: how they are encrypted; None for plain ones.
    """

    def __init__(
        self, family: int, address: tuple[str | int, ...], size: int, tls: Tls | None = None
    ) -> None:
        self._family = family
        self._address = address
        self._tls = tls
        self._members = [_Member() for _ in range(size)]
        self._by_descriptor: dict[int, _Member] = {}
        self._under_way: dict[int, _Member] = {}
        self._to_connect = deque(self._members)
        self._events = select.epoll()

    def __enter__(self) -> "Crowd":
        return self

    def __exit__(self, *_: object) -> None:
        for member in self._members:
            self._drop(member)
        self._events.close()

    def open(self, until: float, progress: Progress) -> int:
        """Opens the connections, a bounded number under way at once; returns how many are open.

        A connect that fails or gets no answer is repeated, and so is one that
        the service closes before the moment, so that nobody is lost before
        anything was asked. What is still missing at `until` stays missing.
        """
        while len(self._by_descriptor) - len(self._under_way) < len(self._members):
            now = perf_counter()
            if now >= until:
                break
            self._give_up_slow_connects(now)
            self._start_connects(now)
            for descriptor, _ in self._events.poll(POLL_SECONDS, EVENTS_MAX):
                self._settle(self._by_descriptor[descriptor])
            progress(len(self._by_descriptor) - len(self._under_way))
        for member in list(self._under_way.values()):
            member.fault = "not connected: no answer before the deadline"
            self._drop(member)
        return len(self._by_descriptor)

    def send(self, request: bytes) -> float:
        """Sends the request on every open connection; returns the moment of the first.

        Nothing is read meanwhile: the sweep is to be as short as it can be.
        """
        first = perf_counter()
        for member in self._members:
            if member.stream is None:
                member.reply = Reply(None, member.fault, 0.0)
                continue
            member.since = perf_counter()
            try:
                sent_bytes = member.stream.send(request)
            except OSError as error:
                self._end(member, fault=_named(error))
                continue
            if sent_bytes != len(request):
                # A fresh connection takes kilobytes; whoever sends more needs another client.
                self._end(member, fault="the request did not fit")
        return first

    def collect(self, until: float, progress: Progress) -> float:
        """Reads until every request has its reply, or until the moment; returns the last reply's."""
        last = perf_counter()
        while self._by_descriptor:
            if perf_counter() >= until:
                for member in list(self._by_descriptor.values()):
                    self._end(member, fault="no answer before the deadline")
                break
            for descriptor, _ in self._events.poll(POLL_SECONDS, EVENTS_MAX):
                self._receive(self._by_descriptor[descriptor])
                last = perf_counter()
            progress(len(self._members) - len(self._by_descriptor))
        return last

    def replies(self) -> Iterator[Reply]:
        """One for each request, after collect()."""
        for member in self._members:
            assert member.reply is not None, "collect() has not come to its end"
            yield member.reply

    def _start_connects(self, now: float) -> None:
        while self._to_connect and len(self._under_way) < CONNECTS_UNDER_WAY_MAX:
            member = self._to_connect[0]
            if member.since > now:
                return  # those behind it were put back later, so they wait at least as long
            self._to_connect.popleft()
            try:
                stream = socket.socket(self._family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            except OSError as error:
                self._connect_again(member, _named(error))
                continue
            member.stream, member.since = stream, now
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            result = stream.connect_ex(self._address)
            if result not in {0, errno.EINPROGRESS}:
                self._connect_again(member, _named_number(result))
                continue
            self._by_descriptor[stream.fileno()] = member
            self._under_way[stream.fileno()] = member
            self._events.register(stream, select.EPOLLOUT)

    def _settle(self, member: _Member) -> None:
        """A connect ended, a handshake goes on, or something came before anything was asked."""
        stream = member.stream
        assert stream is not None
        descriptor = stream.fileno()
        if descriptor not in self._under_way:
            if has_closed(stream):
                self._connect_again(member, "closed before anything was sent")
            return
        try:
            wanted = self._connected(member, stream)
        except OSError as error:
            # A handshake that could not begin has closed the descriptor already.
            self._by_descriptor.pop(descriptor, None)
            self._under_way.pop(descriptor, None)
            self._connect_again(member, _named(error))
            return
        if wanted is None:
            del self._under_way[descriptor]
        self._events.modify(descriptor, wanted or select.EPOLLIN)

    def _connected(self, member: _Member, stream: socket.socket) -> int | None:
        """What a connection still waits for, or None if it is ready. Raises OSError."""
        if not isinstance(stream, ssl.SSLSocket):
            result = stream.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if result != 0:
                raise OSError(result, os.strerror(result))
            if self._tls is None:
                return None
            member.stream = stream = self._tls.begin(stream)
        return go_on(stream)

    def _give_up_slow_connects(self, now: float) -> None:
        # The kernel would go on for two minutes, with ever longer pauses.
        for member in list(self._under_way.values()):
            if now - member.since < CONNECT_SECONDS_MAX:
                return  # in the order of their start
            self._connect_again(member, "connect timed out")

    def _connect_again(self, member: _Member, fault: str) -> None:
        self._drop(member)
        member.fault = f"not connected: {fault}"
        member.since = perf_counter() + RETRY_SECONDS
        self._to_connect.append(member)

    def _receive(self, member: _Member) -> None:
        assert member.stream is not None
        try:
            data = received(member.stream, RECEIVE_BYTES)
            if data is None:
                return
            answer = member.reader.feed(data) if data else member.reader.end()
        except OSError as error:
            self._end(member, fault=_named(error))
            return
        except MalformedAnswerError as error:
            self._end(member, fault=f"malformed answer: {error}")
            return
        if answer is not None:
            self._end(member, answer=answer)
        elif not data:
            half = "in the middle of an answer" if member.reader.started else "without an answer"
            self._end(member, fault=f"closed {half}")

    def _end(self, member: _Member, answer: Answer | None = None, fault: str = "") -> None:
        member.reply = Reply(answer, fault, perf_counter() - member.since)
        self._drop(member)

    def _drop(self, member: _Member) -> None:
        if member.stream is not None:
            self._by_descriptor.pop(member.stream.fileno(), None)
            self._under_way.pop(member.stream.fileno(), None)
            member.stream.close()  # takes it out of epoll, too
            member.stream = None


def _named(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):  # its numbers are not the system's
        return f"TLS: {error.reason or error}".lower()
    return _named_number(error.errno) if error.errno else str(error)


def _named_number(number: int) -> str:
    return os.strerror(number).lower()
