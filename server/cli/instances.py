"""The instances of the `ringfence up` that runs here: which there are, and how one is stopped and awaited."""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from typing import Any

import psycopg

from server.cli import configuration
from server.cli.readiness import READY_SECONDS_MAX, StartFailedError, host_of, is_ready
from server.cli.supervision import Supervisor, SupervisorSilentError, tail
from server.errors import RingfenceError
from server.postgres.profile import Profile
from server.postgres.sessions import TimedConnection
from server.postgres.statements import load
from server.postgres.urls import application_url
from server.settings import Settings

POLL_SECONDS = 0.1
ANSWER_SECONDS_MAX = 2.0
# After stopwaitsecs supervisord kills it, and then it ends at once.
BEYOND_STOP_SECONDS = 20.0
# In these supervisord has a process, or is about to have one again.
_LIVING = frozenset({"STARTING", "RUNNING", "BACKOFF"})
_ENDED = frozenset({"STOPPED", "EXITED", "FATAL"})


class Instances:
    """All instances of one var folder, by their numbers."""

    def __init__(self, settings: Settings, supervisor: Supervisor) -> None:
        self._settings = settings
        self.supervisor = supervisor

    def numbers(self) -> list[int]:
        """The numbers of those that supervisord knows, in order."""
        return sorted(int(name.removeprefix("node-")) for name in self._states())

    def idle(self) -> list[int]:
        """Those of them that do not run, or are about to end, for good."""
        states = self._states()
        return [number for number in self.numbers() if states.get(_name(number)) not in _LIVING]

    def follow(self, count: int) -> None:
        """Lets supervisord have this many, by the settings as they are now.

        Each is told of them from its next start on. One that still runs by earlier settings
        keeps the time to stop that they gave it.
        Raises StartFailedError for one that it should have dropped and that runs.
        """
        cluster = self._settings.cluster.model_copy(update={"instances": count})
        configuration.write(
            self._settings.model_copy(update={"cluster": cluster}),
            stop_seconds_min=configuration.stop_seconds_written(self._settings),
        )
        kept = self.supervisor.adopt()
        if kept:
            raise StartFailedError(f"{', '.join(kept)} started again while being stopped")

    def start(self, number: int) -> None:
        """Begins to start one that has ended."""
        self.supervisor.start_instance(_name(number))

    def stop(self, number: int) -> None:
        """Lets one drain and waits for its end. Raises StartFailedError if that takes too long."""
        name = _name(number)
        seconds_max = configuration.stop_seconds_written(self._settings) + BEYOND_STOP_SECONDS
        if self._states()[name] in _LIVING:
            self.supervisor.stop_instance(name)
        deadline = time.monotonic() + seconds_max
        while self._states()[name] not in _ENDED:
            if time.monotonic() > deadline:
                raise StartFailedError(f"{name} does not stop within {seconds_max:g} s")
            time.sleep(POLL_SECONDS)

    def wait_until_member(self, number: int) -> None:
        """Returns once one is ready and a member. Raises StartFailedError if it does not come."""
        name, port = _name(number), self._settings.node_port(number)
        deadline = time.monotonic() + READY_SECONDS_MAX
        scheme = self._settings.http.scheme
        while not (is_ready(host_of(self._settings), port, scheme) and _is_member(self._settings, name)):
            if time.monotonic() > deadline:
                log = self._settings.var_folder / "log" / f"{name}.log"
                raise StartFailedError(f"{name} does not come up; {log} ends with:\n{tail(log)}")
            time.sleep(POLL_SECONDS)

    def _states(self) -> dict[str, str]:
        programs = self.supervisor.programs()
        return {program.name: program.state for program in programs if program.name.startswith("node-")}


@contextlib.contextmanager
def changing(settings: Settings) -> Iterator[Instances]:
    """The instances that run here, for one who stops or starts some, and for nobody else meanwhile.

    Raises RingfenceError where nothing runs, where another changes them, and when the
    service ends before this does.
    """
    instances = Instances(settings, Supervisor(settings, configuration.files(settings)))
    try:
        instances.numbers()
    except SupervisorSilentError:
        raise RingfenceError("Nothing runs here: start it by `ringfence up`.") from None
    lock = os.open(
        settings.var_folder / "run" / "instances.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
    )
    try:
        _take(lock)
        yield instances
    except SupervisorSilentError as error:
        raise RingfenceError(f"supervisord did not do what it was asked for: {error}") from None
    finally:
        os.close(lock)


def _take(lock: int) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise RingfenceError(
            "Another `ringfence restart` or `ringfence scale` is at work here: wait for its end."
        ) from None


def _name(number: int) -> str:
    return f"node-{number}"


def _is_member(settings: Settings, name: str) -> bool:
    """Whether the instance is among the living. Straight from the table: over HTTP it may take a token."""
    profile = Profile(application_url(settings), "ringfence restart", call_seconds_max=ANSWER_SECONDS_MAX)
    statement = load("server.cluster", "nodes.sql")["state"]
    try:
        with TimedConnection.open(profile) as connection:
            row: Any = connection.execute(statement, {"name": name}).fetchone()
    except psycopg.Error:
        return False  # not yet; the caller asks again until its deadline
    return row is not None and row[0] == "live"
