"""What commands do to the service, in the audit record: who gave them here, and how they ended.

Order   what takes a while is recorded twice, as `begun` and with its end, so that a command
        that is killed in the middle has left its trace.
Without a database, or with one of an older schema, the command goes on all the same: a
restart may be what mends it. What could not be recorded is said, and stands as a line of
JSON in var/log/commands.log.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import psycopg

from server.local_user import local_caller
from server.postgres.faults import reason_of
from server.postgres.profile import Profile
from server.postgres.sessions import TimedConnection
from server.postgres.statements import load
from server.postgres.urls import application_url
from server.settings import Settings

RECORD_SECONDS_MAX = 3.0
LOG_FILE = "commands.log"


class Recorder:
    """Writes the lines of one command. url: of the database; without it the service's own."""

    def __init__(self, settings: Settings, action: str, target: str, url: str | None = None) -> None:
        self._settings = settings
        self._action = action
        self._target = target
        self._url = url or application_url(settings)

    def write(self, outcome: str, *, is_quiet: bool = False, seconds_max: float = RECORD_SECONDS_MAX) -> None:
        """Writes a line, or says why it can't; is_quiet: or does not say it."""
        facts = {"action": self._action, "target": self._target, "outcome": outcome, "caller": local_caller()}
        reason = self._tried(facts, seconds_max)
        if reason is None:
            return
        file = self._settings.var_folder / "log" / LOG_FILE
        told = f"Not in the audit record ({reason})"
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            at = datetime.now(UTC).isoformat(timespec="seconds")  # noqa: TID251 for people
            line = {"at": at, **facts, "caller": json.loads(facts["caller"])}
            with file.open("a", encoding="utf-8") as opened:
                opened.write(json.dumps(line, ensure_ascii=False) + "\n")
        except OSError as error:
            told += f", nor in {file}: {error.strerror}"
        else:
            told += f"; it stands in {file}"
        if not is_quiet:
            print(f"ringfence: {told}.", file=sys.stderr)

    @contextmanager
    def begun(self) -> Iterator[None]:
        """Writes that it began, and that it failed if it does; its end is its own to write."""
        self.write("begun")
        try:
            yield
        except KeyboardInterrupt:
            self.write("broken off")
            raise
        except BaseException:
            self.write("failed")
            raise

    def _tried(self, facts: dict[str, str], seconds_max: float) -> str | None:
        """None once it is written, else why it is not."""
        profile = Profile(
            self._url, "ringfence audit", call_seconds_max=seconds_max, open_seconds_max=seconds_max
        )
        try:
            with TimedConnection.open(profile) as connection:
                connection.execute(load("server.access", "audit.sql")["record_operation"], facts)
        except psycopg.errors.UndefinedFunction:
            return "the database's schema is older than this version"
        except psycopg.Error as error:
            return reason_of(error)
        return None


@contextmanager
def recorded(settings: Settings, action: str, target: str) -> Iterator[None]:
    """Records what is done within: that it began, and how it ended."""
    recorder = Recorder(settings, action, target)
    with recorder.begun():
        yield
    recorder.write("done")
