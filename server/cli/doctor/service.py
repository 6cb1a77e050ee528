"""The checks of what surrounds the nodes here: their ports, and the supervisord that stops them."""

import configparser
from collections.abc import Iterator
from pathlib import Path

from server.cli import configuration, lock, ports
from server.cli.doctor.finding import Finding, fault, ok, warning
from server.cli.readiness import is_ready
from server.cluster.lifelock import may_any_live
from server.errors import ConfigurationError
from server.settings import Settings
from server.supervised import stop_seconds


def check_service(settings: Settings) -> Iterator[Finding]:
    """Ports and the time to stop, of this var folder."""
    running = lock.holder(settings.var_folder)
    yield from _check_ports(settings, running)
    yield from _check_stop_time(settings, running)


def _check_ports(settings: Settings, running: lock.Holder | None) -> Iterator[Finding]:
    needed = ports.needed(settings)
    span = f"{needed[0].number} and {needed[1].number} to {needed[-1].number}"
    try:
        taken = ports.taken(needed)
    except ConfigurationError as error:
        yield fault("ports", str(error), "correct http.host or http.port")
        return
    if not taken:
        yield ok("ports", f"{span} are free")
        return
    answers = all(is_ready(port.host, port.number, settings.http.scheme) for port in taken)
    if answers and running is not None:
        yield ok(
            "ports", f"{span}: {len(taken)} are served by the `ringfence up` that runs (pid {running.pid})"
        )
    elif answers and may_any_live(settings.var_folder / "run" / "locks"):
        # systemd, a supervisord of its own, or a person who typed `ringfence serve`.
        yield ok(
            "ports", f"{span}: {len(taken)} are served by instances that run here without `ringfence up`"
        )
    else:
        said = ports.describe(taken, settings).splitlines()
        yield fault("ports", "; ".join(said[:-1]), said[-1])


def _check_stop_time(settings: Settings, running: lock.Holder | None) -> Iterator[Finding]:
    """A supervisord that waits less than a node may drain kills it, and its runs are lost."""
    needed = stop_seconds(settings)
    if running is not None:
        written = configuration.stop_seconds_written(settings)
        yield _judge(
            written, needed, "the supervisord that runs here", "`ringfence restart` tells it the new settings"
        )
    own = settings.home / "supervisord.conf"
    if own.is_file():
        found = _stop_seconds_in(own)
        yield _judge(found, needed, str(own), f"set stopwaitsecs={needed} or more there")
    if running is None and not own.is_file():
        yield ok("stop time", f"`ringfence up` will give each node {needed} s to stop")


def _judge(seconds: float | None, needed: int, whose: str, mend: str) -> Finding:
    if seconds is None:
        return warning("stop time", f"{whose} says no stopwaitsecs for the nodes", mend)
    if seconds < needed:
        return fault(
            "stop time",
            f"{whose} kills a node after {seconds:g} s (stopwaitsecs), and it may take {needed} s to drain",
            f"{mend}, or lower cluster.drain_seconds",
        )
    return ok("stop time", f"{whose} gives each node {seconds:g} s to stop; it may take {needed}")


def _stop_seconds_in(file: Path) -> float | None:
    parser = configparser.RawConfigParser(comment_prefixes=(";",), inline_comment_prefixes=(";",))
    try:
        parser.read_string(file.read_text(encoding="utf-8", errors="surrogateescape"))
        return parser.getfloat(configuration.NODES, "stopwaitsecs", fallback=None)
    except (OSError, ValueError, configparser.Error):
        return None  # supervisord itself will say what is wrong with it
