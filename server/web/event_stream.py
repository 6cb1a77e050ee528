"""GET /events: what happens to tasks and nodes, as server-sent events (the HTML standard's form).

An observer that comes back with the last id that it saw misses nothing and gets
nothing twice. Nothing is held for it meanwhile: its place is that id, and the
table has the rest.
"""

import asyncio
from collections.abc import Iterable

import msgspec
from tornado.iostream import StreamClosedError

from server.errors import DatabaseUnavailableError, OverloadedError
from server.web.event_kinds import KINDS
from server.web.feed import Event, Feed, GoneError, Report
from server.web.handlers import JsonHandler
from server.web.routes import Route

OBSERVERS_MAX = 2_000
HEARTBEAT_SECONDS = 10.0
WRITE_SECONDS_MAX = 10.0
"""How long a page may take to leave; who reads more slowly is cut off, and comes back to its place."""
RECONNECT_MILLISECONDS = 1_000
PROGRESS = "progress"


class EventsHandler(JsonHandler):
    """GET /events: 200 text/event-stream.

    Query    since: an id; what follows it comes first. Without it, what happens from now on.
             task, kind: names, separated by commas; others are left out.
             follow: false sends what there is, and ends.
    Headers  Last-Event-ID counts more than since, since a browser repeats both.
    Events   id, event, and data: the object that NOTIFY sends, with its channel. `progress`
             has no id. `reset` when what follows the place is not known: read the tables anew.
    Errors   422 invalid_request   503 overloaded, database_unavailable
    """

    parameters = ("since", "task", "kind", "follow")
    offers = ("text/event-stream",)
    following: "asyncio.Task[None] | None" = None
    sent_at = 0.0
    seconds_to_head: float | None = None

    @property
    def feed(self) -> Feed:
        """Where the events come from."""
        return self.services.feed

    @property
    def answer_seconds(self) -> float:
        return self.request.request_time() if self.seconds_to_head is None else self.seconds_to_head

    async def get(self) -> None:
        since = self.query.event_id("since", self.request.headers.get("Last-Event-ID"))
        self.tasks = self.query.names("task")
        self.kinds = self.query.choices("kind", KINDS)
        self.is_for_good = self.query.flag("follow", default=True)
        self.query.done()
        if self.feed.observers >= OBSERVERS_MAX:
            raise OverloadedError(self.feed.observers)
        self.following = asyncio.current_task()
        self.feed.observers += 1
        try:
            await self._follow(since)
        except (StreamClosedError, asyncio.CancelledError):
            pass  # the client has gone, with its place
        finally:
            self.feed.observers -= 1

    def on_connection_close(self) -> None:
        super().on_connection_close()
        if self.following is not None:
            self.following.cancel()

    async def _follow(self, since: int | None) -> None:
        self.feed.wake()
        lines = [f"retry: {RECONNECT_MILLISECONDS}\n\n"]
        try:
            position = await self.feed.place(since)
        except GoneError as gone:
            position = gone.newest
            lines.append(_reset(gone))
        self.seconds_to_head = self.request.request_time()  # the rest is the stream, as long as it may be
        self.set_header("Content-Type", "text/event-stream")
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Accel-Buffering", "no")  # or a proxy may gather events
        if self.request.method == "HEAD":
            return
        # The place at once: who is cut off before the first event comes back to it.
        await self._send([*lines, _place(position)])
        if not self.is_for_good:
            await self._send_what_is_kept(position)
            return
        serial = 0
        while not self.feed.is_closed and self.services.gate.keyring.is_in_force(self.caller):
            news = self.feed.news
            position, serial = await self._send_what_is_new(position, serial)
            await self._pause(news, position)

    async def _send_what_is_kept(self, position: int) -> None:
        """From the table itself: what this node has read of it may be a moment old."""
        try:
            while page := await self.feed.kept_after(position):
                position = page[-1].id
                await self._send(_event(event) for event in page if self._is_wanted(event.event, event.task))
        except DatabaseUnavailableError:
            # An end that looks like one would say that there is no more.
            self._connection.close()

    async def _send_what_is_new(self, position: int, serial: int) -> tuple[int, int]:
        """Returns the new place, and the serial of the last report."""
        try:
            while page := await self.feed.after(position):
                position = page[-1].id
                await self._send(_event(event) for event in page if self._is_wanted(event.event, event.task))
        except GoneError as gone:
            position = gone.newest
            await self._send([_reset(gone)])
        except DatabaseUnavailableError:
            pass  # the feed logs it, and tells when there is something again
        reports = self.feed.reports_after(serial)
        await self._send(_report(report) for report in reports if self._is_wanted(PROGRESS, report.task))
        return position, reports[-1].serial if reports else serial

    async def _pause(self, news: asyncio.Event, position: int) -> None:
        """Until there may be something new; a sign of life when nothing was sent for long."""
        try:
            async with asyncio.timeout_at(self.sent_at + HEARTBEAT_SECONDS):
                await news.wait()
        except TimeoutError:
            await self._send([_place(position)])

    def _is_wanted(self, kind: str, task: str | None) -> bool:
        return (not self.kinds or kind in self.kinds) and (not self.tasks or task in self.tasks)

    async def _send(self, blocks: Iterable[str]) -> None:
        text = "".join(blocks)
        if not text:
            return
        self.sent_at = asyncio.get_running_loop().time()
        self.write(text)
        try:
            await asyncio.wait_for(self.flush(), WRITE_SECONDS_MAX)
        except TimeoutError:
            self._connection.close()
            raise StreamClosedError from None


def _event(event: Event) -> str:
    return f"id: {event.id}\nevent: {event.event}\ndata: {event.text}\n\n"


def _report(report: Report) -> str:
    return f"event: {PROGRESS}\ndata: {report.text}\n\n"


def _reset(gone: GoneError) -> str:
    data = msgspec.json.encode({"event": "reset", "id": gone.newest, "detail": str(gone)}).decode()
    return f"id: {gone.newest}\nevent: reset\ndata: {data}\n\n"


def _place(position: int) -> str:
    """A comment, and the id without an event: by the standard it is kept as the last one seen."""
    return f": here\nid: {position}\n\n"


def routes() -> tuple[Route, ...]:
    """The routes of this module."""
    return (Route("/events", EventsHandler),)
