"""The threads that read from the service, and the mailbox in which their news wait.

What goes wrong is news as well: the instance that answered may have ended, and another
answers at the next attempt. A stream of events goes on from its last id, so nothing of
it is missed.
"""

import collections
import contextlib
import http.client
import json
import os
import threading
import time
from collections.abc import Iterator

from server.cli import api
from server.cli.account import Service, ServiceError
from server.cli.live.picture import RESET, Happened, News, Seen, Told, Trouble
from server.cli.live.sent_events import Sent, StreamReader
from server.cli.options import token_headers
from server.errors import RingfenceError

REFRESH_SECONDS = 1.0
RETRY_SECONDS = 1.0
# An instance says something every 10 s, even if nothing happens.
SILENCE_SECONDS_MAX = 25.0
PIECE_BYTES = 65_536
PROBLEM_BYTES_MAX = 65_536
RECENT_EVENTS = 20
"""How far back a screen begins. Ids have gaps, so it may be fewer."""

CLUSTER, EVENTS = "cluster", "events"


class Mailbox:
    """News from threads, for one reader, who waits for `descriptor` to be readable."""

    def __init__(self) -> None:
        self._news: collections.deque[News | RingfenceError] = collections.deque()
        self.descriptor, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def put(self, news: News | RingfenceError) -> None:
        """Adds one. An error is for the reader to end with."""
        self._news.append(news)
        with contextlib.suppress(BlockingIOError):  # it is readable already
            os.write(self._writer, b"\0")

    def take(self) -> list[News]:
        """All that is there. Raises the RingfenceError that is among it."""
        with contextlib.suppress(BlockingIOError):
            os.read(self.descriptor, PIECE_BYTES)
        taken: list[News] = []
        while self._news:
            news = self._news.popleft()
            if isinstance(news, RingfenceError):
                raise news
            taken.append(news)
        return taken


def read_cluster(url: str, parts: tuple[str, ...]) -> Seen:
    """The cluster as it is. parts: of "tasks" and "nodes". Raises RingfenceError."""
    answers = {part: api.call(url, "GET", f"/{part}") for part in parts}
    newest = max(answer.at for answer in answers.values())
    return Seen(newest, **{part: tuple(answer.content[part]) for part, answer in answers.items()})


class ClusterReader(threading.Thread):
    """Asks for the cluster once a second."""

    def __init__(self, url: str, parts: tuple[str, ...], mailbox: Mailbox) -> None:
        super().__init__(name="cluster reader", daemon=True)
        self._url, self._parts, self._mailbox = url, parts, mailbox

    def run(self) -> None:
        while True:
            began = time.monotonic()
            try:
                self._mailbox.put(read_cluster(self._url, self._parts))
                self._mailbox.put(Trouble(CLUSTER, None))
            except api.RefusedError as error:
                self._mailbox.put(error if error.is_final else Trouble(CLUSTER, str(error)))
            except RingfenceError as error:
                self._mailbox.put(Trouble(CLUSTER, str(error)))
            time.sleep(max(0.0, began + REFRESH_SECONDS - time.monotonic()))


class EventStream:
    """The events of the cluster, over one connection after the other.

    node: which instance serves the connection. place: the id to come back to; None before
    the stream has said where it stands.
    """

    def __init__(self, url: str) -> None:
        self._service = Service(url)
        self._looks_back = True
        self.node = ""
        self.place: int | None = None
        self.newest_at_start = 0

    @contextlib.contextmanager
    def connected(self) -> Iterator[http.client.HTTPResponse]:
        """The answer whose body is the stream. Raises ServiceError, RefusedError, OSError or ValueError."""
        with contextlib.closing(self._service.connect()) as connection:
            connection.request("GET", "/healthz", headers=token_headers())
            # One connection is served by one instance, whichever took it from the public port.
            self.node = str(json.loads(connection.getresponse().read())["node"])
            since = "" if self.place is None else f"?since={self.place}"
            connection.request("GET", f"/events{since}", headers=token_headers())
            response = connection.getresponse()
            if response.status != 200:
                raise api.refusal(response.status, response.read(PROBLEM_BYTES_MAX))
            connection.sock.settimeout(SILENCE_SECONDS_MAX)
            yield response

    def pieces(self, response: http.client.HTTPResponse) -> Iterator[list[Sent]]:
        """The events as they come, until the stream ends; the first connection only finds the place."""
        reader = StreamReader()
        while piece := response.read1(PIECE_BYTES):
            events = reader.feed(piece)
            if reader.last_id is None:
                continue
            if self.place is None:
                self.newest_at_start = reader.last_id
                self.place = max(0, reader.last_id - RECENT_EVENTS)
                return
            self.place = reader.last_id
            # Looking back further than events are kept is no loss that is worth a word.
            yield [event for event in events if not (event.kind == RESET and self._looks_back)]
            self._looks_back = self._looks_back and not events


class EventFollower(threading.Thread):
    """Follows the events for good, on whichever instance answers."""

    def __init__(self, url: str, mailbox: Mailbox) -> None:
        super().__init__(name="event follower", daemon=True)
        self._stream, self._mailbox = EventStream(url), mailbox
        self._is_lost = False

    def run(self) -> None:
        while True:
            try:
                self._follow()
            except api.RefusedError as error:
                self._mailbox.put(error if error.is_final else Trouble(EVENTS, f"no events: {error}"))
                time.sleep(RETRY_SECONDS)
            except (OSError, http.client.HTTPException, ValueError, KeyError, RingfenceError) as error:
                self._lost(str(error) or type(error).__name__)
                time.sleep(RETRY_SECONDS)

    def _follow(self) -> None:
        """Until the stream ends. Raises what `connected` raises, and ServiceError if the end is a loss."""
        stream, looks_for_place = self._stream, self._stream.place is None
        with stream.connected() as response:
            self._mailbox.put(Trouble(EVENTS, None))
            if not looks_for_place:
                self._mailbox.put(
                    Told(f"connected{' again' if self._is_lost else ''}: events by {stream.node}")
                )
                self._is_lost = False
            for events in stream.pieces(response):
                for event in events:
                    self._mailbox.put(Happened(event))
        if not looks_for_place or stream.place is None:
            raise ServiceError(f"{stream.node} has ended the stream")

    def _lost(self, reason: str) -> None:
        if not self._is_lost and self._stream.node:
            self._mailbox.put(Told(f"lost the connection to {self._stream.node}"))
        self._is_lost = True
        self._mailbox.put(Trouble(EVENTS, f"no events: {reason}"))


def recent_events(url: str) -> list[Sent]:
    """What happened lately, up to now. Raises RingfenceError."""
    stream, found = EventStream(url), list[Sent]()
    try:
        while stream.place is None or stream.place < stream.newest_at_start:
            with stream.connected() as response:
                for events in stream.pieces(response):
                    found += [event for event in events if event.id is not None]
                    if stream.place is None or stream.place >= stream.newest_at_start:
                        break
    except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
        raise ServiceError(f"GET {url}/events: {error or type(error).__name__}") from None
    return found
