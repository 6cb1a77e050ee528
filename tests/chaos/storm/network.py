"""A cable from each node to the database, which can be cut without anybody being told.

Each node lives in a network namespace of its own; a bridge joins them to the
namespace of the tests, where PostgreSQL listens. While a port of the bridge is
switched off, packets vanish in both directions: no reset, no error, as behind a
switch that died. All of it lies in namespaces that vanish with their processes.

Needs root, or a kernel that lets an ordinary user have namespaces (`unshare --user`).
"""

import os
import subprocess
from collections.abc import Sequence
from typing import Protocol

BRIDGE = "storm0"
UNPLUGGED = "cable unplugged"
DISABLED, FORWARDING = "0", "3"  # states of a bridge's port


class Network(Protocol):
    """Where nodes live, and what can be done to their way to the database."""

    database_host: str | None
    """None: the socket in the file system, which nobody can cut."""

    def enter(self, node: int) -> Sequence[str]:
        """What a command begins with to be run where the node lives."""

    def host(self, node: int) -> str:
        """The node's address, as the tests see it."""

    def cut(self, node: int, variant: str) -> None:
        """Nothing passes in either direction from now on."""

    def heal(self, node: int) -> None:
        """Everything passes again."""

    def close(self) -> None:
        """Takes everything away again."""


class OneHost:
    """No namespaces: nodes beside each other, and no partitions."""

    database_host = None

    def enter(self, node: int) -> Sequence[str]:
        return ()

    def host(self, node: int) -> str:
        return "127.0.0.1"

    def cut(self, node: int, variant: str) -> None:
        raise NotImplementedError("without namespaces nothing can be cut; the plan has no partitions then")

    def heal(self, node: int) -> None:
        """Nothing is ever cut."""

    def close(self) -> None:
        """Nothing was made."""


class Cables:
    """A namespace and a cable for each node. The caller has a network namespace of its own."""

    database_host = "10.77.0.1"

    def __init__(self, nodes: int) -> None:
        self._holders: dict[int, subprocess.Popen[bytes]] = {}
        self._unplugged: set[int] = set()
        _run("ip", "link", "set", "lo", "up")
        _run("ip", "link", "add", BRIDGE, "type", "bridge")
        _run("ip", "address", "add", f"{self.database_host}/24", "dev", BRIDGE)
        _run("ip", "link", "set", BRIDGE, "up")
        for node in range(1, nodes + 1):
            self._lay(node)

    def _lay(self, node: int) -> None:
        # `cat` keeps the namespace until its input ends, which it does when we end, however we end.
        holder = subprocess.Popen(["unshare", "--net", "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert holder.stdin is not None and holder.stdout is not None
        holder.stdin.write(b".")
        holder.stdin.flush()
        holder.stdout.read(1)  # by now it is in its namespace
        self._holders[node] = holder
        port = _port(node)
        inside = self.enter(node)
        _run(
            *inside,
            "ip",
            "link",
            "add",
            "eth0",
            "type",
            "veth",
            "peer",
            "name",
            port,
            "netns",
            str(os.getpid()),
        )
        _run(*inside, "ip", "address", "add", f"{self.host(node)}/24", "dev", "eth0")
        _run(*inside, "ip", "link", "set", "lo", "up")
        _run(*inside, "ip", "link", "set", "eth0", "up")
        _run("ip", "link", "set", port, "master", BRIDGE, "up")

    def enter(self, node: int) -> Sequence[str]:
        return ("nsenter", f"--net=/proc/{self._holders[node].pid}/ns/net")

    def host(self, node: int) -> str:
        return f"10.77.0.{10 + node}"

    def cut(self, node: int, variant: str) -> None:
        if variant == UNPLUGGED:
            _run("ip", "link", "set", _port(node), "down")
            self._unplugged.add(node)
        else:
            _run("bridge", "link", "set", "dev", _port(node), "state", DISABLED)

    def heal(self, node: int) -> None:
        if node in self._unplugged:
            self._unplugged.discard(node)
            _run("ip", "link", "set", _port(node), "up")
        else:
            _run("bridge", "link", "set", "dev", _port(node), "state", FORWARDING)

    def close(self) -> None:
        for holder in self._holders.values():
            holder.communicate()
        _run("ip", "link", "delete", BRIDGE)


def way_into_a_namespace() -> tuple[Sequence[str], str]:
    """What a command begins with to get a network namespace of its own; or (), and the reason why not."""
    prefix = ["unshare", "--net"]
    if os.geteuid() != 0:
        prefix[1:1] = ["--user", "--map-root-user"]
    try:
        probe = [*prefix, "sh", "-c", f"ip link add {BRIDGE} type bridge && bridge link"]
        done = subprocess.run(probe, capture_output=True, text=True, timeout=20, check=False)
    except OSError as error:
        return (), f"{error.filename}: {error.strerror}"
    if done.returncode != 0:
        return (), done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "unshare failed"
    return prefix, ""


def _port(node: int) -> str:
    return f"storm-node-{node}"


def _run(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0, f"{' '.join(argv)}: {done.stderr.strip()}"
