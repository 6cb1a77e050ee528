"""`ringfence restart`: the instances one after the other, while the others serve.

Order   each one drains (it takes no new run, finishes what it serves, and leaves the
        table), ends, starts anew, and is waited for until it is ready and a member
        again. So at any moment all others serve the public port, whose socket belongs
        to supervisord and is never closed.
End     at the first one that does not come back: the rest is left as it runs.
"""

import http.client
import json
import time
from typing import Any

from server.cli import configuration
from server.cli.readiness import READY_SECONDS_MAX, StartFailedError, host_of, is_ready
from server.cli.screen import Screen
from server.cli.supervision import Supervisor, SupervisorSilentError, tail
from server.errors import RingfenceError
from server.settings import Settings

POLL_SECONDS = 0.1
ANSWER_SECONDS_MAX = 2.0
BEYOND_DRAIN_SECONDS = 30.0


def restart(settings: Settings, screen: Screen) -> None:
    """Restarts every instance of the `ringfence up` that runs here.

    Raises RingfenceError when nothing runs, StartFailedError for an instance that does
    not come back.
    """
    supervisor = Supervisor(settings, configuration.files(settings))
    names = _instances(supervisor)
    if len(names) == 1:
        screen.warn("There is one instance only, so the service is away while it restarts.")
    for name in names:
        with screen.step(f"Restarting {name}"):
            _restart_one(settings, supervisor, name)


def _instances(supervisor: Supervisor) -> list[str]:
    try:
        programs = supervisor.programs()
    except SupervisorSilentError:
        raise RingfenceError(
            "Nothing runs here that could be restarted: start it by `ringfence up`."
        ) from None
    names = [program.name for program in programs if program.name.startswith("node-")]
    return sorted(names, key=lambda name: int(name.removeprefix("node-")))


def _restart_one(settings: Settings, supervisor: Supervisor, name: str) -> None:
    port = settings.node_port(int(name.removeprefix("node-")))
    supervisor.stop_instance(name)
    _wait_for_state(supervisor, name, "STOPPED", settings.cluster.drain_seconds + BEYOND_DRAIN_SECONDS)
    supervisor.start_instance(name)
    deadline = time.monotonic() + READY_SECONDS_MAX
    while not (is_ready(host_of(settings), port) and _is_member(settings, port, name)):
        if time.monotonic() > deadline:
            log = settings.var_folder / "log" / f"{name}.log"
            raise StartFailedError(f"{name} does not come back; {log} ends with:\n{tail(log)}")
        time.sleep(POLL_SECONDS)


def _wait_for_state(supervisor: Supervisor, name: str, state: str, seconds_max: float) -> None:
    deadline = time.monotonic() + seconds_max
    while _state(supervisor, name) != state:
        if time.monotonic() > deadline:
            raise StartFailedError(f"{name} does not stop within {seconds_max:g} s")
        time.sleep(POLL_SECONDS)


def _state(supervisor: Supervisor, name: str) -> str:
    return next((program.state for program in supervisor.programs() if program.name == name), "")


def _is_member(settings: Settings, port: int, name: str) -> bool:
    """Whether the instance sees itself among the living."""
    connection = http.client.HTTPConnection(host_of(settings), port, timeout=ANSWER_SECONDS_MAX)
    try:
        connection.request("GET", "/nodes")
        nodes: list[dict[str, Any]] = json.loads(connection.getresponse().read())["nodes"]
    except (OSError, http.client.HTTPException, ValueError, KeyError):
        return False  # not yet; the caller asks again until its deadline
    finally:
        connection.close()
    return any(node["name"] == name and node["state"] == "live" for node in nodes)
