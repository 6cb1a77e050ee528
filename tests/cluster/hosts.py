"""Hosts that share a network and nothing else but the file system, each with the addresses of the README.

A host has its own network, name, processes and id of its boot, so nothing can prove to
another one that it has died; and it dies like a host, with all that runs there at once.
All of it vanishes with the processes that hold it.

Needs root, and a kernel that lets it have namespaces. Elsewhere OneHost does what can be done
without: the hosts are addresses of loopback, on ports that are free.
"""

import os
import re
import subprocess
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from fleet import children
from service import free_ports

FIRST, SECOND, THIRD = 1, 2, 3
HOSTS = (FIRST, SECOND, THIRD)
BOOT_ID = "/proc/sys/kernel/random/boot_id"
SWITCH = "switch0"
_NEW_HOST = ("unshare", "--net", "--uts", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")


class Hosts(Protocol):
    """Where commands run."""

    settings: dict[str, dict[str, object]]
    """What must stand in the configuration besides what the README says."""

    def enter(self, host: int) -> Sequence[str]:
        """What a command begins with to be run on a host."""

    def adapt(self, text: str) -> str:
        """A text of the README with the addresses and ports as they are here."""

    def close(self) -> None:
        """Takes everything away again."""


class Namespaces:
    """Three hosts on one switch."""

    def __init__(self, folder: Path) -> None:
        self.settings: dict[str, dict[str, object]] = {}
        self._folder = folder
        self._switch = _hold(
            ("unshare", "--net"), f"ip link add {SWITCH} type bridge; ip link set {SWITCH} up"
        )
        self._holders = {host: self._connect(host) for host in HOSTS}

    def enter(self, host: int) -> Sequence[str]:
        (inside,) = children(self._holders[host].pid)
        return ("nsenter", f"--target={inside}", "--net", "--uts", "--mount", "--pid", "--wd=.", "--")

    def adapt(self, text: str) -> str:
        return text

    def kill(self, host: int) -> None:
        """Everything on a host ends at once, without a word to anybody."""
        self._holders[host].kill()
        self._holders[host].communicate()

    def close(self) -> None:
        for holder in [*self._holders.values(), self._switch]:
            holder.kill()
            holder.communicate()

    def _connect(self, host: int) -> "subprocess.Popen[bytes]":
        boot = self._folder / f"boot-{host}"
        boot.write_text(f"{uuid.uuid4()}\n")
        holder = _hold(_NEW_HOST, f"hostname host-{host}; mount --bind {boot} {BOOT_ID}; ip link set lo up")
        port = f"port{host}"
        inside = children(holder.pid)[0]
        on_switch = ("nsenter", f"--target={self._switch.pid}", "--net")
        on_host = ("nsenter", f"--target={inside}", "--net")
        cable = ("type", "veth", "peer", "name", "eth0", "netns", str(inside))
        _run(*on_switch, "ip", "link", "add", port, *cable)
        _run(*on_switch, "ip", "link", "set", port, "master", SWITCH, "up")
        _run(*on_host, "ip", "address", "add", f"10.0.0.{host}/24", "dev", "eth0")
        _run(*on_host, "ip", "link", "set", "eth0", "up")
        return holder


class OneHost:
    """The same steps on this host: one address for each, and tokens asked for by setting."""

    def __init__(self) -> None:
        self._port = free_ports(9)
        # A file lock would prove each death at once.
        self.settings = {
            "http": {"host": "127.0.0.1", "port": self._port},
            "security": {"tokens": "required"},
            "cluster": {"proof_of_death": False},
        }

    def enter(self, host: int) -> Sequence[str]:
        return ()

    def adapt(self, text: str) -> str:
        text = re.sub(r"10\.0\.0\.0/24", "127.0.0.0/8", text)
        text = re.sub(r"10\.0\.0\.\d(/ringfence)", rf"127.0.0.1:{self._port + 8}\1", text)
        text = re.sub(r"10\.0\.0\.\d", "127.0.0.1", text)
        text = text.replace("alter system", f"alter system set port = {self._port + 8};\nalter system", 1)
        return re.sub(r":800(\d)", lambda found: f":{self._port + int(found[1])}", text)

    def close(self) -> None:
        """Nothing was made."""


def hosts_in(folder: Path) -> Namespaces | OneHost:
    """Hosts in namespaces where that is possible."""
    probe = [*_NEW_HOST, "sh", "-c", f"mount --bind /dev/null {BOOT_ID} && ip link add {SWITCH} type bridge"]
    try:
        done = subprocess.run(probe, capture_output=True, timeout=20, check=False)
    except OSError:
        return OneHost()
    return Namespaces(folder) if os.geteuid() == 0 and done.returncode == 0 else OneHost()


def _hold(way: Sequence[str], furnish: str) -> "subprocess.Popen[bytes]":
    """A process that keeps namespaces until its input ends, which it does when we end, however we end."""
    holder = subprocess.Popen(
        [*way, "sh", "-ec", f"{furnish}; echo; exec cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    assert holder.stdout.read(1) == b"\n", "the namespaces were not made"
    return holder


def _run(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0, f"{' '.join(argv)}: {done.stderr.strip()}"
