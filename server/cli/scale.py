"""`ringfence scale N`: another number of instances, while the service runs.

Up      the next numbers are started together, as `up` starts them, and each is waited
        for until it is ready and a member.
Down    the highest number first, one after the other: each drains as in a restart, ends,
        and is forgotten by supervisord before the next one is stopped.
Port    the public socket belongs to the group of instances, and supervisord keeps it as
        long as one of them lives; the group itself is never stopped (see adoption.py).
Broken off, by whatever, it leaves a service that runs with a number in between; the same
command again goes on from there.
"""

from server.cli import ports
from server.cli.instances import Instances, changing
from server.cli.ports import Port
from server.cli.readiness import StartFailedError, host_of, is_ready
from server.cli.recorded import recorded
from server.cli.screen import Screen
from server.errors import RingfenceError
from server.settings import Settings


def scale(settings: Settings, instances_wanted: int, screen: Screen) -> None:
    """Starts or stops instances of the `ringfence up` that runs here until there are that many.

    Raises RingfenceError when nothing runs or it is not ready, StartFailedError for an
    instance that does not come up or does not stop.
    """
    with changing(settings) as instances:
        # While it starts, `up` itself waits for those that it began with.
        if not is_ready(host_of(settings), settings.http.port, settings.http.scheme):
            raise RingfenceError("The service is not ready: wait until it is, and scale it then.")
        before = len(instances.numbers())
        with recorded(settings, "service.scale", f"from {before} to {instances_wanted} instances"):
            if instances_wanted >= before:
                _grow(settings, instances, instances_wanted, screen)
            else:
                _shrink(instances, instances_wanted, screen)
    screen.line(f"{before} instances before, {instances_wanted} now.")


def _grow(settings: Settings, instances: Instances, wanted: int, screen: Screen) -> None:
    new = sorted(set(range(1, wanted + 1)) - set(instances.numbers()))
    own = [
        Port(settings.http.host, settings.node_port(number), f"node-{number}'s own, http.port + {number}")
        for number in new
    ]
    taken = ports.taken(own)
    if taken:
        raise StartFailedError(ports.describe(taken, settings))
    idle = instances.idle()
    for number in idle:
        # Somebody stopped it by hand, or broke a scaling off: it counts, so it shall run.
        instances.stop(number)
        instances.start(number)
    instances.follow(wanted)
    for number in idle + new:
        with screen.step(f"Starting node-{number}"):
            instances.wait_until_member(number)


def _shrink(instances: Instances, wanted: int, screen: Screen) -> None:
    for number in reversed(instances.numbers()[wanted:]):
        with screen.step(f"Stopping node-{number}"):
            instances.stop(number)
            instances.follow(number - 1)
