"""The events of the cluster for any number of observers of one node, from one reading of the table.

Formula
    The table `events` is the stream: its ids grow in commit order. NOTIFY only says
    when to look. This node reads what is new once, keeps the newest TAIL_EVENTS, and
    observers take from there; one that is further behind reads its pages itself. So a
    slow observer costs no memory here, and its place is an id that it keeps.

Failures
    the database is away       nothing comes, nobody is cut off; then all that was missed
    a notification was lost    the table is read every LOOK_SECONDS anyway
    the events are fewer than  the database was replaced by one that lost the last of them;
    an observer has seen       the observer is told to begin anew (`reset`)
"""

import asyncio
from bisect import bisect_right
from dataclasses import dataclass

import psycopg
import structlog

from server.errors import DatabaseUnavailableError
from server.postgres.connections import Database
from server.postgres.statements import load
from server.waking import Waker

PAGE_EVENTS = 500
TAIL_EVENTS = 5_000
LOOK_SECONDS = 5.0
PROGRESS_SECONDS = 1.0

STATEMENTS = load("server.web", "events.sql")
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Event:
    """One event. text: the JSON object that observers get."""

    id: int
    event: str
    task: str | None
    text: str


@dataclass(frozen=True, slots=True)
class Report:
    """How far a run is. serial: grows with each report of this node; it is no place in the stream."""

    serial: int
    task: str
    text: str


class GoneError(Exception):
    """What follows a place is not kept any more, or was never here: begin anew at `newest`."""

    def __init__(self, newest: int, why: str) -> None:
        super().__init__(why)
        self.newest = newest


class Feed:
    """What observers of this node read from; see above.

    is_closed: this node stops; observers go on elsewhere, from their place. news: is set
    when there may be something new, and then another one takes its place: take it
    before you look, and wait for it afterwards.
    """

    def __init__(self, database: Database) -> None:
        self.observers = 0
        self.is_closed = False
        self._database = database
        self._waker = Waker()
        self.news = asyncio.Event()
        self._tail: list[Event] = []
        self._floor: int | None = None  # every event after this id is in the tail; None: not known yet
        self._newest = 0
        self._reports: dict[int, Report] = {}  # by run
        self._serial = 0

    def wake(self) -> None:
        """Something was told, or the listener is back: look."""
        self._waker.wake()

    def look_up(self) -> None:
        """Lets all streams look whether they may go on."""
        self._tell()

    def close(self) -> None:
        """Ends all streams."""
        self.is_closed = True
        self._tell()

    async def run(self) -> None:
        """Reads for the observers until it is cancelled; rests while there are none."""
        is_away = False
        while True:
            try:
                if self.observers:
                    await self._read()
                else:
                    self._forget()
                if is_away:
                    is_away = False
                    self._tell()  # those who are behind the tail waited too
            except (DatabaseUnavailableError, psycopg.Error) as error:
                log.debug("observers of events wait for the database", error=str(error))
                is_away = True
            await self._waker.rest(PROGRESS_SECONDS if self.observers else LOOK_SECONDS)

    async def place(self, since: int | None) -> int:
        """The id after which an observer goes on: `since`, or the newest. Raises GoneError."""
        newest = await self._extent(since)
        return newest if since is None else since

    async def after(self, position: int) -> list[Event]:
        """A page of what follows an id; empty when nothing does. Raises GoneError."""
        if self._floor is not None and position >= self._floor:
            if position > self._newest:
                await self._extent(position)
            first = bisect_right(self._tail, position, key=lambda event: event.id)
            return self._tail[first : first + PAGE_EVENTS]
        page = await self.kept_after(position)
        if not page or page[0].id > position + 1:
            await self._extent(position)  # a hole: of pruned events, or of a number nobody used
        return page

    async def kept_after(self, position: int) -> list[Event]:
        """A page of what the table holds after an id. Raises DatabaseUnavailableError."""
        params = {"position": position, "limit": PAGE_EVENTS}
        rows = await self._database.rows(STATEMENTS["after"], params)
        return [Event(row.id, row.event, row.task, row.text) for row in rows]

    def reports_after(self, serial: int) -> list[Report]:
        """The newest report of each run whose report is younger than that serial, in order."""
        found = [report for report in self._reports.values() if report.serial > serial]
        return sorted(found, key=lambda report: report.serial)

    # Reading

    async def _read(self) -> None:
        kept = await self._newest_kept()
        if self._floor is None or kept < self._newest:
            # The first look, or the database is another one: the tail begins here.
            self._tail = []
            self._floor = self._newest = kept
            self._tell()
        while page := await self.kept_after(self._newest):
            self._tail += page
            self._newest = page[-1].id
            surplus = len(self._tail) - TAIL_EVENTS
            if surplus > 0:
                self._floor = self._tail[surplus - 1].id
                del self._tail[:surplus]
            self._tell()
        if await self._read_progress():
            self._tell()

    async def _read_progress(self) -> bool:
        rows = await self._database.rows(STATEMENTS["progress"])
        before, self._reports = self._reports, {}
        changed = False
        for row in rows:
            known = before.get(row.run_id)
            if known is None or known.text != row.text:
                self._serial += 1
                known, changed = Report(self._serial, row.task, row.text), True
            self._reports[row.run_id] = known
        return changed

    async def _newest_kept(self) -> int:
        return (await self._database.row(STATEMENTS["extent"])).newest or 0

    async def _extent(self, position: int | None) -> int:
        """The newest id. Raises GoneError if what follows `position` can't be told."""
        row = await self._database.row(STATEMENTS["extent"])
        newest, oldest = row.newest or 0, row.oldest or 1
        if position is not None and position > newest:
            raise GoneError(newest, f"there is no event {position}: the newest is {newest}")
        if position is not None and position + 1 < oldest:
            raise GoneError(newest, f"events are kept from {oldest} on, and {position} lies before")
        return newest

    def _tell(self) -> None:
        self.news.set()
        self.news = asyncio.Event()

    def _forget(self) -> None:
        self._tail, self._floor, self._reports = [], None, {}
