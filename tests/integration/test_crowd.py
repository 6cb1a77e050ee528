"""The burst's client against a tiny service that answers in every way that a network knows."""

import socket
import threading
from collections import Counter
from time import perf_counter

from tiny_service import (
    Fate,
    TinyService,
    closes_at_once,
    closes_halfway,
    closes_without_an_answer,
    is_overloaded,
    refuses,
    resets,
    stays_silent,
    succeeds,
    succeeds_in_pieces,
    talks_nonsense,
)

from server.cli.answers import REFUSED, SUCCEEDED
from server.cli.crowd import Crowd

REQUEST = b"POST /withdraw HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}"


def go(address: tuple[str, int], size: int, seconds_max: float = 30.0) -> Counter[str]:
    """Opens, sends and collects; returns how many ended how."""
    until = perf_counter() + seconds_max
    with Crowd(socket.AF_INET, address, size) as crowd:
        crowd.open(until, lambda _: None)
        crowd.send(REQUEST)
        crowd.collect(until, lambda _: None)
        return Counter(reply.kind for reply in crowd.replies())


def test_every_connection_of_a_thousand_gets_its_own_answer() -> None:
    with TinyService(succeeds) as service:
        assert go(service.address, 1000) == {SUCCEEDED: 1000}
        assert service.connections == 1000


def test_an_answer_that_comes_byte_by_byte_is_put_together() -> None:
    with TinyService(succeeds_in_pieces) as service:
        assert go(service.address, 20) == {SUCCEEDED: 20}


def test_every_fate_is_counted_under_its_own_name() -> None:
    fates: dict[Fate, str] = {
        succeeds: SUCCEEDED,
        refuses: REFUSED,
        is_overloaded: "HTTP 503 overloaded",
        closes_without_an_answer: "network: closed without an answer",
        closes_halfway: "network: closed in the middle of an answer",
        resets: "network: connection reset by peer",
        talks_nonsense: "network: malformed answer: not a status line: b'220 mail.example.com ESMTP'",
    }
    with TinyService(succeeds, [fate for fate in fates for _ in range(3)]) as service:
        assert go(service.address, 3 * len(fates)) == dict.fromkeys(fates.values(), 3)


def test_a_silent_service_does_not_outlast_the_deadline() -> None:
    with TinyService(succeeds, [stays_silent] * 2) as service:
        began = perf_counter()
        assert go(service.address, 5, seconds_max=0.5) == {
            SUCCEEDED: 3,
            "network: no answer before the deadline": 2,
        }
        assert perf_counter() - began < 5


def test_a_connection_closed_before_the_moment_is_opened_again() -> None:
    with TinyService(succeeds, [closes_at_once] * 3) as service:
        until = perf_counter() + 30
        with Crowd(socket.AF_INET, service.address, 10) as crowd:
            opened: list[int] = []
            assert crowd.open(until, opened.append) == 10
            assert opened[-1] == 10
            crowd.send(REQUEST)
            crowd.collect(until, lambda _: None)
            kinds = Counter(reply.kind for reply in crowd.replies())
    # A close may also come in the instant between the last connect and the sending.
    assert kinds[SUCCEEDED] >= 7
    assert sum(kinds.values()) == 10


def test_a_service_that_begins_to_listen_late_loses_nobody() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        address = holder.getsockname()
        opened: list[int] = []
        refused = threading.Event()

        def listen_after_the_first_refusals() -> None:
            refused.wait()
            holder.listen(100)

        listener = threading.Thread(target=listen_after_the_first_refusals)
        listener.start()
        with Crowd(socket.AF_INET, address, 5) as crowd:

            def progress(done: int) -> None:
                opened.append(done)
                refused.set()

            assert crowd.open(perf_counter() + 30, progress) == 5
        listener.join()
    assert opened[0] == 0


def test_connections_that_never_open_are_counted_with_the_reason() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        kinds = go(holder.getsockname(), 3, seconds_max=0.3)
    assert kinds == {"network: not connected: connection refused": 3}
