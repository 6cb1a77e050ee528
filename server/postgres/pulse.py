"""Whether the database answers this process, and the two lines of the log about each outage.

Every connection of a node tells the pulse what its calls came to (see sessions.py), so a
part that fails needs no line of its own: the first one that fails begins an outage, and it
ends when all that failed have been answered again, and none has failed for STEADY_SECONDS:
parts find out one after the other, and a server that comes and goes is one outage.

    answers ──a part fails──> outage ──all that failed are answered, for a while──> answers

A part that has nothing to ask any more can't be answered. One whose last failure lies
SILENT_SECONDS back is not waited for: who still tries fails more often than that.
"""

import threading
from functools import cache
from time import monotonic

import structlog

from server.postgres.faults import reason_of

SILENT_SECONDS = 6.0
"""More than one attempt to connect and the longest pause after it take."""

STEADY_SECONDS = 1.0

log = structlog.get_logger(__name__)


class Pulse:
    """What is known about one way to the database; any thread may tell and ask."""

    def __init__(self) -> None:
        self.answered_at = float("-inf")
        """When the database last answered any call; monotonic seconds."""
        self._guard = threading.Lock()
        self._failed_at: dict[str, float] = {}  # part -> its last failure, unless it was answered since
        self._began_at: float | None = None
        self._answers_since: float | None = None

    @property
    def outage_seconds(self) -> float:
        """How long the outage has lasted that is under way; 0 if there is none."""
        began_at = self._began_at
        return 0.0 if began_at is None else monotonic() - began_at

    def answered(self, part: str) -> None:
        """A call of this part got its answer; an error that the server found in it is one, too."""
        now = self.answered_at = monotonic()
        if self._began_at is None:
            return
        with self._guard:
            self._failed_at.pop(part, None)
            if self._answers_since is None:
                self._answers_since = now
            if self._began_at is None or now - self._answers_since < STEADY_SECONDS:
                return
            if any(now - at < SILENT_SECONDS for at in self._failed_at.values()):
                return
            seconds = self._answers_since - self._began_at
            self._began_at = None
            self._failed_at.clear()
        log.info("the database answers again", seconds=round(seconds, 1))

    def failed(self, part: str, error: BaseException) -> None:
        """A call of this part, or its try to connect, came to nothing."""
        with self._guard:
            now = self._failed_at[part] = monotonic()
            self._answers_since = None
            begins = self._began_at is None
            if begins:
                self._began_at = now
        tell = log.warning if begins else log.debug
        tell("the database does not answer; trying until it does", part=part, error=reason_of(error))


@cache
def pulse_of(url: str) -> Pulse:
    """The one pulse that all connections of this process to that URL share."""
    return Pulse()
