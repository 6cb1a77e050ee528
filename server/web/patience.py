"""Which clients are too slow, and which connections make room when there are too many.

One look a second over all connections, where Tornado's own limits cost a timer for each
head and each body: a fifth of a request.

    nothing, or half a head   closed after http.idle_timeout
    half a body               closed after http.body_timeout
    takes nothing of its      closed after http.answer_timeout; who takes something has
    answer                    as long again
    one too many              the connection that is silent longest makes room; if none
                              is, the longest unfinished body; else the new one is refused

What is executed already is never cut off by this: its answer may be the only one. Nor is
what has come while the event loop was kept from reading it: that is our slowness, not the
client's.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Collection
from typing import Any, Protocol

from server.settings import Http

LOOK_SECONDS = 1.0
REASONS = ("idle", "slow_body", "slow_answer", "room", "refused")


class Arriving(Protocol):
    """A request that has not come whole. Moments are perf_counter()'s; head_at: None before it has come."""

    since: float
    head_at: float | None

    @property
    def is_unread(self) -> bool:
        """Whether something of it has come that this process has not looked at."""

    def close(self) -> None:
        """Closes its connection."""


class Patience:
    """Looks after the connections of one server.

    connections: the server's own collection of them. closed: how many were closed, by why;
    `refused` are those that did not become any.
    """

    def __init__(self, limits: Http) -> None:
        self.idle_seconds_max = limits.idle_seconds
        self.body_seconds_max = limits.body_seconds
        self.answer_seconds_max = limits.answer_seconds
        self.connections: Collection[Any] = ()
        self.closed = Counter(dict.fromkeys(REASONS, 0))
        self._arriving: dict[Arriving, None] = {}  # in the order of their beginning
        self._stalled: dict[Any, tuple[int, float]] = {}
        self._looks = False

    def begin(self, request: Arriving) -> None:
        """A connection is ready for its next request."""
        self._arriving[request] = None
        if not self._looks:
            self._looks = True
            asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)

    def end(self, request: Arriving) -> None:
        """All of a request has come, or its client has gone."""
        self._arriving.pop(request, None)

    def close_idle(self, seconds: float) -> None:
        """Closes the connections on which no head has come for so long."""
        now = time.perf_counter()
        for request in tuple(self._arriving):
            if request.head_at is None and now - request.since > seconds and not request.is_unread:
                self._close(request, "idle")

    def make_room(self) -> bool:
        """Closes the connection that can be missed best; False if each has a request under way."""
        silent = next((one for one in self._arriving if one.head_at is None and not one.is_unread), None)
        chosen = silent or next((one for one in self._arriving if not one.is_unread), None)
        if chosen is None:
            return False
        self._close(chosen, "room")
        return True

    def _close(self, request: Arriving, why: str) -> None:
        self.closed[why] += 1
        request.close()

    def _look(self) -> None:
        self._looks = bool(self._arriving or self.connections)
        if not self._looks:
            return  # the next request begins it anew
        self.close_idle(self.idle_seconds_max)
        now = time.perf_counter()
        for request in tuple(self._arriving):
            if request.head_at is not None and now - request.head_at > self.body_seconds_max:
                self._close(request, "slow_body")
        self._close_stalled(now)
        asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)

    def _close_stalled(self, now: float) -> None:
        before, self._stalled = self._stalled, {}
        for connection in tuple(self.connections):
            stream = connection.stream
            if not stream.writing():
                continue
            taken = stream._total_write_done_index
            was_taken, since = before.get(connection, (taken, now))
            if taken != was_taken:
                since = now
            if now - since > self.answer_seconds_max:
                self.closed["slow_answer"] += 1
                stream.close()
            else:
                self._stalled[connection] = (taken, since)
