"""The checks of this machine: open files, the kernel's queue, disk, memory, namespaces for root."""

import contextlib
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from server.cli.doctor.finding import Finding, fault, ok, warning
from server.postgres import launch
from server.postgres.binaries import NO_NAMESPACE
from server.settings import Settings

# What a node has open besides its clients: logs, database, guardian, jobs.
FILES_BESIDES_CLIENTS = 256
FILES_MIN = 1024
DISK_BYTES_WARNING = 2 << 30
DISK_BYTES_MIN = 200 << 20
INODES_MIN = 1000
# Measured: a node with its guardian, and a job; PostgreSQL with its connections.
NODE_BYTES = 110 << 20
DATABASE_BYTES = 300 << 20
NAMESPACE_SECONDS_MAX = 10.0

SOMAXCONN = Path("/proc/sys/net/core/somaxconn")
MEMORY = Path("/proc/meminfo")
CGROUP = Path("/sys/fs/cgroup")


def check_machine(settings: Settings) -> Iterator[Finding]:
    """All that is asked of the machine itself."""
    yield _check_open_files(settings)
    yield from _check_backlog(settings)
    yield from _check_disk(settings)
    yield from _check_memory(settings)
    yield from _check_namespaces(settings)


def _check_open_files(settings: Settings) -> Finding:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = settings.http.backlog + FILES_BESIDES_CLIENTS
    raise_it = (
        "raise it: LimitNOFILE= of the systemd unit, `nofile` in /etc/security/limits.conf, or ulimit -Hn"
    )
    if hard == resource.RLIM_INFINITY or hard >= wanted:
        shown = "unlimited" if hard == resource.RLIM_INFINITY else str(hard)
        return ok("open files", f"{shown} allowed to each process; a full backlog needs {wanted}")
    said = (
        f"a process may open {hard} files, fewer than the {wanted} that a full backlog of connections needs"
    )
    return (fault if hard < FILES_MIN else warning)("open files", said, raise_it)


def _check_backlog(settings: Settings) -> Iterator[Finding]:
    try:
        kernel = int(SOMAXCONN.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return  # no such limit to be seen here
    if kernel < settings.http.backlog:
        yield warning(
            "backlog",
            f"the kernel lets {kernel} connections wait, and http.backlog is {settings.http.backlog}",
            f"sysctl -w net.core.somaxconn={settings.http.backlog}, if larger crowds come at one moment",
        )
    else:
        yield ok("backlog", f"{settings.http.backlog} connections may wait")


def _check_disk(settings: Settings) -> Iterator[Finding]:
    folder = settings.var_folder
    while not folder.exists():
        folder = folder.parent  # it is made at the first start
    if not os.access(folder, os.W_OK | os.X_OK):
        yield fault("disk", f"{folder} can't be written by this user", "give it to this user, or set `var`")
        return
    free = shutil.disk_usage(folder).free
    status = os.statvfs(folder)
    said = f"{free / (1 << 30):.1f} GiB free where {settings.var_folder} lies"
    room = "make room: logs, history (prune_history) and, if it is embedded, the database grow there"
    if free < DISK_BYTES_MIN or (status.f_files and status.f_favail < INODES_MIN):
        yield fault("disk", said if free < DISK_BYTES_MIN else f"{status.f_favail} inodes free", room)
    elif free < DISK_BYTES_WARNING:
        yield warning("disk", said, room)
    else:
        yield ok("disk", said)


def _check_memory(settings: Settings) -> Iterator[Finding]:
    needed = settings.cluster.instances * NODE_BYTES
    needed += DATABASE_BYTES if settings.database.url is None else 0
    found = [size for size in (_memory_total(), _cgroup_number("memory.max")) if size is not None]
    if found:
        have = min(found)
        said = (
            f"{have / (1 << 30):.1f} GiB for this system; {settings.cluster.instances} nodes with a job each "
        )
        said += f"take about {needed / (1 << 30):.1f}"
        if have < needed:
            yield warning("memory", said, "lower cluster.instances, or give tasks a memory_max")
        else:
            yield ok("memory", said)
    killed = _cgroup_event("oom_kill")
    if killed:
        yield warning(
            "out of memory",
            f"the kernel has killed {killed} processes of this control group for want of memory",
            "give the group more, or set memory_max of the tasks: jobs are taken before nodes",
        )


def _check_namespaces(settings: Settings) -> Iterator[Finding]:
    if os.geteuid() != 0:
        return
    if settings.database.url is not None:
        yield ok("root", "no user namespace is needed: the database is not the embedded one")
        return
    argv = [sys.executable, "-I", "-S", launch.__file__, "--namespace", "--", "/bin/true"]
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run(argv, capture_output=True, timeout=NAMESPACE_SECONDS_MAX, check=False)
        if done.returncode == 0:
            yield ok("root", "a user namespace lets the embedded PostgreSQL run")
            return
    yield fault("root", "this kernel or container gives root no user namespace", NO_NAMESPACE)


def _memory_total() -> int | None:
    with contextlib.suppress(OSError, ValueError):
        for line in MEMORY.read_text(encoding="ascii").splitlines():
            name, _, value = line.partition(":")
            if name == "MemTotal":
                return int(value.split()[0]) * 1024
    return None


def _cgroup_number(name: str) -> int | None:
    """A limit of the control group; None where there is none, or none to be seen."""
    with contextlib.suppress(OSError, ValueError):
        return int((_own_cgroup() / name).read_text(encoding="ascii"))
    return None


def _cgroup_event(name: str) -> int:
    with contextlib.suppress(OSError, ValueError):
        for line in (_own_cgroup() / "memory.events").read_text(encoding="ascii").splitlines():
            key, _, value = line.partition(" ")
            if key == name:
                return int(value)
    return 0


def _own_cgroup() -> Path:
    # Version 2 has one line, 0::/path; what an older one says is not looked at.
    line = Path("/proc/self/cgroup").read_text(encoding="utf-8").strip().splitlines()[-1]
    return CGROUP / line.rpartition("::")[2].lstrip("/")
