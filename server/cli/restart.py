"""`ringfence restart`: the instances one after the other, while the others serve.

Order   each one drains (it takes no new run, finishes what it serves, and leaves the
        table), ends, starts anew, and is waited for until it is ready and a member
        again. So at any moment all others serve the public port, whose socket belongs
        to supervisord and is never closed.
End     at the first one that does not come back: the rest is left as it runs.
"""

from server.cli.instances import changing
from server.cli.recorded import recorded
from server.cli.screen import Screen
from server.settings import Settings


def restart(settings: Settings, screen: Screen) -> None:
    """Restarts every instance of the `ringfence up` that runs here.

    Raises RingfenceError when nothing runs, StartFailedError for an instance that does
    not come back.
    """
    with changing(settings) as instances:
        numbers = instances.numbers()
        # So that supervisord waits as long as they drain by the settings that they start with.
        instances.follow(len(numbers))
        if len(numbers) == 1:
            screen.warn("There is one instance only, so the service is away while it restarts.")
        with recorded(settings, "service.restart", ", ".join(f"node-{number}" for number in numbers)):
            for number in numbers:
                with screen.step(f"Restarting node-{number}"):
                    instances.stop(number)
                    instances.start(number)
                    instances.wait_until_member(number)
