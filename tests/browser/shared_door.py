"""A fleet whose nodes share one public socket, as supervisord hands it to them, and a look at who runs what."""

import socket
import urllib.request
from pathlib import Path
from typing import Any

from fleet import Fleet, wait_until

NODES = 3
STEADY = 6
SHORT_SECONDS = 3.0


def tasks(witness: Path) -> dict[str, Any]:
    """Some that always run, so that a node that dies has something to lose, and some to act on."""
    path = {"path": str(witness)}
    at_hand = {"every": "1h", "first": "scheduled", "timeout": "10m"}
    steady = {"function": "witness:work", "every": "1h", "params": path | {"seconds": 3000}, "timeout": "2h"}
    return {f"steady-{number}": steady for number in range(STEADY)} | {
        "short": at_hand | {"function": "witness:work", "params": path | {"seconds": SHORT_SECONDS}},
        "long": at_hand | {"function": "witness:work", "params": path | {"seconds": 300}},
        "daily": {"function": "witness:fails", "cron": "0 9 * * *", "timezone": "Europe/Berlin", "first": "scheduled"},
        "markup": at_hand | {"function": "witness:speaks_markup"},
        "paused": at_hand | {"function": "witness:work", "params": path},
    }  # fmt: skip


class SharedDoor(Fleet):
    """The nodes' own ports, and the public one, which outlives any of them."""

    def __init__(self, folder: Path, url: str, **cluster: Any) -> None:
        super().__init__(folder, url, tasks(folder / "witness"), settle=0.5, **cluster)
        self.door = socket.create_server(("127.0.0.1", self.port), backlog=512)
        self.stdin = self.door.fileno()
        self.base = f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        super().close()
        self.door.close()

    def serving_events(self) -> list[int]:
        """The nodes that somebody follows the events of."""
        return [number for number in sorted(self.processes) if self._observers(number)]

    def _observers(self, number: int) -> int:
        url = f"http://127.0.0.1:{self.port + number}/metrics"
        with urllib.request.urlopen(url, timeout=10) as answer:
            for line in answer.read().decode().splitlines():
                if line.startswith("ringfence_event_observers "):
                    return int(float(line.split()[1]))
        raise AssertionError("no figure for observers")

    def bring_back(self, number: int) -> None:
        """Starts a node that was killed, and waits until it takes part again."""
        self.processes[number].wait(timeout=10)
        self.start(number)
        wait_until(lambda: self.is_ready(number), 60, f"node-{number} ready")
        name = f"node-{number}"
        wait_until(lambda: self.node(name)["state"] == "live", 30, f"{name} live")

    def node(self, name: str) -> dict[str, Any]:
        return next(node for node in self.get("/nodes")["nodes"] if node["name"] == name)

    def task(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.get(f"/tasks/{name}")
        return found
