"""The end of `ringfence up`: everything that it started is gone when this returns.

Order   the nodes, then PostgreSQL, then supervisord; supervisord sees to it by
        its priorities, and where it is gone itself, this module does.
Limits  each level has a time, after which the next one follows by itself.
"""

import signal
import time

from server.cli import processes
from server.cli.screen import Screen
from server.cli.signals import Level, Signals
from server.cli.supervision import Supervisor
from server.errors import DatabaseUnavailableError
from server.postgres import socket_folder
from server.postgres.embedded import EmbeddedServer
from server.settings import Settings

FAST_SECONDS_MAX = 8.0
# A node that lost its supervisord stops by itself within 2 s (its death signal).
ORPHAN_SECONDS_MAX = 3.0
POSTGRES_SECONDS_MAX = 15.0
BEYOND_DRAIN_SECONDS = 40.0
NUDGE_SECONDS = 0.7


def stop(settings: Settings, supervisor: Supervisor, signals: Signals, screen: Screen) -> None:
    """Stops everything, as quickly as the signals ask, and reaps it."""
    if supervisor.lives():
        _stop_supervised(settings, supervisor, signals, screen)
    server = EmbeddedServer(settings.var_folder)
    pid = server.running_pid()
    postgres = pid if pid in processes.descendants() else None  # one that was started elsewhere stays
    patience = 0.0 if signals.level is Level.KILL else ORPHAN_SECONDS_MAX
    processes.wait_until(lambda: not _others(postgres), patience)
    processes.send(_others(postgres), signal.SIGKILL)
    if postgres is not None:
        try:
            server.stop(seconds_max=POSTGRES_SECONDS_MAX)
        except DatabaseUnavailableError as error:
            screen.warn(str(error))
    processes.wait_until(lambda: not processes.descendants(), 1.0)
    processes.send(processes.descendants(), signal.SIGKILL)
    if not processes.wait_until(lambda: not processes.descendants(), 5.0):
        screen.warn(f"These processes do not end: {sorted(processes.descendants())}")
    socket_folder.remove_outside_folder(settings.var_folder)


def _stop_supervised(settings: Settings, supervisor: Supervisor, signals: Signals, screen: Screen) -> None:
    """Lets supervisord stop what it runs; returns when it has, or when it takes too long."""
    seconds_max = {
        Level.DRAIN: settings.cluster.drain_seconds + BEYOND_DRAIN_SECONDS,
        Level.FAST: FAST_SECONDS_MAX,
    }
    ordered, deadline = Level.RUN, 0.0
    while signals.level < Level.KILL and supervisor.lives():
        if ordered < signals.level:
            ordered = signals.level
            deadline = time.monotonic() + seconds_max[ordered]
            _order(settings, supervisor, ordered, screen)
        level = ordered
        processes.wait_until(
            lambda: not supervisor.lives() or signals.level > level,  # noqa: B023 asked at once, in this round
            NUDGE_SECONDS,
        )
        if level is Level.FAST:
            _nudge(supervisor)
        if time.monotonic() > deadline and signals.level is level:
            screen.warn("It takes too long: going one step harder.")
            signals.level = Level(level + 1)
    if supervisor.lives():
        processes.send([supervisor.pid], signal.SIGKILL)
        processes.wait_until(lambda: not supervisor.lives(), 5.0)


def _nudge(supervisor: Supervisor) -> None:
    """Repeats INT to what still runs; PostgreSQL only when nothing else does.

    A signal that comes between supervisord's fork and the exec of the program is
    lost, and supervisord would wait for the program as long as for a drain.
    """
    programs = processes.children(supervisor.pid)
    nodes = {pid for pid in programs if processes.name(pid) != "postgres"}
    processes.send(nodes or programs, signal.SIGINT)


def _order(settings: Settings, supervisor: Supervisor, level: Level, screen: Screen) -> None:
    if level is Level.DRAIN:
        screen.line(
            f"Stopping: running tasks have {settings.cluster.drain_seconds:g} s to finish (Ctrl-C: at once)"
        )
        supervisor.stop_gently()
    else:
        screen.line("Stopping (Ctrl-C again: without waiting)")
        supervisor.stop_fast()


def _others(postgres: int | None) -> set[int]:
    """Our descendants, less PostgreSQL, which ends last and ends its own processes."""
    everybody = processes.descendants()
    return everybody - (processes.descendants(postgres) | {postgres} if postgres else set())
