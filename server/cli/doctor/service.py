"""The checks of what surrounds the nodes here: their ports, and the supervisord that stops them."""

import configparser
import stat
from collections.abc import Iterator
from pathlib import Path

from server.cli import configuration, lock, ports
from server.cli.doctor.finding import Finding, fault, ok, warning
from server.cli.readiness import reasons_of
from server.cluster.lifelock import may_any_live
from server.errors import ConfigurationError
from server.settings import Settings
from server.supervised import stop_seconds
from server.web.tls import certificate_of

# Whether the database takes writes is waited for, by the instance that is asked.
READY_SECONDS_MAX = 3.0


def check_service(settings: Settings) -> Iterator[Finding]:
    """Certificate, ports and the time to stop, of this var folder."""
    running = lock.holder(settings.var_folder)
    yield from _check_certificate(settings)
    yield from _check_ports(settings, running)
    yield from _check_stop_time(settings, running)


def _check_certificate(settings: Settings) -> Iterator[Finding]:
    try:
        certificate = certificate_of(settings)
    except ConfigurationError as error:
        yield fault("certificate", str(error), "correct the path or the rights; both are PEM, and a pair")
        return
    if certificate is None:
        return
    http = settings.http
    key = settings.home / (http.tls_key or http.tls_certificate or "")
    if key.stat().st_mode & stat.S_IROTH:
        yield warning("certificate", f"every user here can read the key in {key}", f"chmod o= {key}")
    else:
        yield ok("certificate", f"{http.tls_certificate} and its key belong together")


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
    answers = [reasons_of(port.host, port.number, settings.http.scheme, READY_SECONDS_MAX) for port in taken]
    who = _served_by(settings, running)
    if who is None or None in answers:
        said = ports.describe(taken, settings).splitlines()
        yield fault("ports", "; ".join(said[:-1]), said[-1])
        return
    served = f"{span}: {len(taken)} are served by {who}"
    reasons = {reason for answer in answers for reason in answer or ()}
    if reasons:
        count = sum(bool(answer) for answer in answers)
        yield warning(
            "ports",
            f"{served}, of which {count} are not ready: {', '.join(sorted(reasons))}",
            "nothing has to be restarted: they get ready by themselves when that has ended",
        )
    else:
        yield ok("ports", served)


def _served_by(settings: Settings, running: lock.Holder | None) -> str | None:
    """Who of ours may have the ports; None if nobody of ours runs here."""
    if running is not None:
        return f"the `ringfence up` that runs (pid {running.pid})"
    if may_any_live(settings.var_folder / "run" / "locks"):
        # systemd, a supervisord of its own, or a person who typed `ringfence serve`.
        return "instances that run here without `ringfence up`"
    return None


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
