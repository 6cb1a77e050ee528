"""Waits until every instance answers, and says so if one does not come up."""

import http.client
import json
import time
from pathlib import Path

from server.cli.screen import Screen
from server.cli.signals import Signals
from server.cli.supervision import FAILING, Supervisor, SupervisorSilentError, tail
from server.cli.trust import connection_to
from server.errors import RingfenceError
from server.settings import Settings

ANSWER_SECONDS_MAX = 1.0
READY_SECONDS_MAX = 90.0
POLL_SECONDS = 0.05
NOT_READY = "not_ready"  # the code of the answer (server/web/health.py)
LOOK_SECONDS = 0.5
# One failed attempt may be bad luck (an instance of before still has its lease);
# what fails over and over is shown, once for each program.
ANY_HOST = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1"}  # noqa: S104 compared with, not bound to


class StartFailedError(RingfenceError):
    """Something that `ringfence up` starts does not come up."""

    code = "start_failed"


def address(settings: Settings) -> str:
    """Where a client on this host finds the service."""
    return f"{settings.http.scheme}://{host_of(settings)}:{settings.http.port}"


class Readiness:
    """Watches the instances come up."""

    def __init__(self, settings: Settings, supervisor: Supervisor, screen: Screen, signals: Signals) -> None:
        self._settings = settings
        self._supervisor = supervisor
        self._screen = screen
        self._signals = signals
        self._shown: set[str] = set()
        self._next_look = 0.0

    def wait(self) -> None:
        """Returns once each instance and the public port answer. Raises StartFailedError."""
        settings = self._settings
        waiting = {f"node-{n}": settings.node_port(n) for n in range(1, settings.cluster.instances + 1)}
        waiting["the public port"] = settings.http.port
        deadline = time.monotonic() + READY_SECONDS_MAX
        while waiting:
            for name in [
                name
                for name, port in waiting.items()
                if is_ready(host_of(settings), port, settings.http.scheme)
            ]:
                del waiting[name]
            self._screen.now(
                f"Starting {settings.cluster.instances} instances: waiting for {', '.join(waiting)}"
            )
            self.look()
            if time.monotonic() > deadline:
                raise StartFailedError(self._not_ready(list(waiting)))
            if waiting:
                self._signals.wait(POLL_SECONDS)

    def look(self) -> None:
        """Looks at the programs' states, twice a second. Raises StartFailedError if supervisord has ended."""
        if not self._supervisor.lives():
            raise StartFailedError(f"supervisord ended while it started:\n{self._supervisor.last_words()}")
        if time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + LOOK_SECONDS
        try:
            programs = self._supervisor.programs()
        except SupervisorSilentError:
            return  # it has not opened its socket yet
        for program in programs:
            if program.state not in FAILING:
                continue
            if program.name == "postgres":
                raise StartFailedError(f"PostgreSQL does not start:\n{tail(program.log)}")
            if program.state != "BACKOFF":
                raise StartFailedError(f"{program.name} does not start:\n{tail(program.log)}")
            if program.name not in self._shown:
                self._shown.add(program.name)
                self._screen.warn(f"{program.name} failed and is tried again; {program.log} ends with:")
                self._screen.line(tail(program.log))

    def _not_ready(self, names: list[str]) -> str:
        ends = "\n".join(f"  {name}:\n{tail(self._log(name))}" for name in names if name.startswith("node-"))
        return f"not ready after {READY_SECONDS_MAX:g} s: {', '.join(names)}\n{ends}"

    def _log(self, name: str) -> Path:
        return self._settings.var_folder / "log" / f"{name}.log"


def is_ready(host: str, port: int, scheme: str = "http") -> bool:
    """Whether an instance says that it should get requests."""
    return reasons_of(host, port, scheme) == ()


def reasons_of(
    host: str, port: int, scheme: str = "http", seconds_max: float = ANSWER_SECONDS_MAX
) -> tuple[str, ...] | None:
    """Why an instance should get no requests, by its own word; empty if it should, None if none answers."""
    connection = connection_to(scheme, host, port, seconds_max, is_verified=False)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        if answer.status == 200:
            return ()
        problem = json.loads(answer.read())
        return tuple(map(str, problem["reasons"])) if problem["code"] == NOT_READY else None
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        return None
    finally:
        connection.close()


def host_of(settings: Settings) -> str:
    """The host under which a client on this machine finds the service."""
    return ANY_HOST.get(settings.http.host, settings.http.host)
