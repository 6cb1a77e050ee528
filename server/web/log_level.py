"""How much this node writes to its log, changed while it runs."""

import asyncio
from time import monotonic
from typing import Annotated, Literal, cast

import structlog
from msgspec import Meta, Struct

from server import logs
from server.access.audit import record
from server.money.json_objects import Rule, kind_of, read_object
from server.web.handlers import JsonHandler
from server.web.routes import Route
from server.web.services import Services

SECONDS_MAX = 86_400
LevelName = Literal["debug", "info", "warning", "error"]

log = structlog.get_logger(__name__)


class LogLevelBody(Struct, frozen=True, forbid_unknown_fields=True):
    """level: debug, info, warning or error. seconds: for how long; without it until the node ends."""

    level: LevelName
    seconds: Annotated[int, Meta(ge=1, le=SECONDS_MAX)] | None = None


class LogLevel(Struct, frozen=True):
    """What is written now, what is configured, and in how many seconds that counts again; null: never."""

    node: str
    level: LevelName
    configured: LevelName
    seconds: float | None


class Level:
    """The level of this process, and the moment at which the configured one counts again."""

    def __init__(self, configured: LevelName) -> None:
        self.configured = configured
        self._timer: asyncio.TimerHandle | None = None
        self._until = 0.0

    @property
    def seconds(self) -> float | None:
        """Until the configured one counts again; None if it never will by itself."""
        return None if self._timer is None else max(0.0, self._until - monotonic())

    def change(self, level: str, seconds: float | None) -> None:
        """Counts from now on; a later change takes the place of an earlier one."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        logs.set_level(level)
        if seconds is not None:
            self._until = monotonic() + seconds
            self._timer = asyncio.get_running_loop().call_later(seconds, self._go_back)

    def _go_back(self) -> None:
        self._timer = None
        logs.set_level(self.configured)
        log.warning("the log is as configured again", level=self.configured)


class LogLevelHandler(JsonHandler):
    """GET /log-level: 200 {"node", "level", "configured", "seconds"}, of the node that answers.

    PUT     {"level": "debug", "seconds": 600} changes it, for this node alone; the same object.
    """

    def initialize(self, services: Services, route: str, level: Level) -> None:
        self.begin(services, route)
        self.level = level

    def get(self) -> None:
        name = self.services.node_name
        level = cast(LevelName, logs.level())
        self.answer(LogLevel(name, level, self.level.configured, self.level.seconds))

    async def put(self) -> None:
        wanted = read_object(
            self.body(), {"level": Rule(_level_fault), "seconds": Rule(_seconds_fault, required=False)}
        )
        self.level.change(wanted["level"], wanted.get("seconds"))
        # At a level that is always written: who made the log silent must be found in it.
        facts = {"token": self.caller.token, "peer": self.request.remote_ip}
        log.error("the log level was changed", level=wanted["level"], **facts)
        # First the change, which is wanted most while the database is away.
        seconds = wanted.get("seconds")
        outcome = wanted["level"] + (f" for {seconds} s" if seconds else "")
        await record(self.services.database, "log.level", self.services.node_name, outcome, self.origin)
        self.get()


def _level_fault(value: object) -> str | None:
    return (
        None
        if isinstance(value, str) and value in logs.LEVELS
        else f"must be one of {', '.join(logs.LEVELS)}"
    )


def _seconds_fault(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        return f"must be a whole number, and was {kind_of(value)}"
    return None if 1 <= value <= SECONDS_MAX else f"must be from 1 to {SECONDS_MAX}"


def routes(services: Services) -> tuple[Route, ...]:
    """The routes of this module."""
    return (Route("/log-level", LogLevelHandler, {"level": Level(services.settings.logging.level)}),)
