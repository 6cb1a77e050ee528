"""`ringfence backup`, `restore` and `db move`: the whole database into a file, out of it, elsewhere."""

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from psycopg import conninfo

from server.cli import lock
from server.cli.migrate import quiet_log
from server.cli.recorded import Recorder, recorded
from server.cli.screen import Screen
from server.connection_strings import fault_of, without_password
from server.errors import ConfigurationError, RingfenceError, TransferError
from server.money.ledger_check import LedgerReport, check_ledger
from server.postgres.backup import Source, back_up, look_at
from server.postgres.embedded import EmbeddedServer
from server.postgres.restore import Target, copy, counts, others, restore
from server.postgres.schema import newest_revision
from server.postgres.urls import application_url, has_two_roles, owner_url
from server.settings import Settings


def write(settings: Settings, file: Path, screen: Screen) -> None:
    """Backs up the configured database. Raises TransferError or DatabaseUnavailableError."""
    began = time.monotonic()
    _check_made(settings)
    with (
        running(settings),
        recorded(settings, "database.backup", str(file.resolve())),
        screen.step(f"Backing up to {file}"),
    ):
        done = back_up(
            owner_url(settings), file, lambda size: screen.now(f"Backing up to {file}: {_size(size)}")
        )
    seconds = time.monotonic() - began
    screen.line(f"Backed up {_size(done.size_bytes)} in {seconds:.1f} s, schema {done.revision}: {done.file}")


def read(settings: Settings, file: Path, target: Target | None, screen: Screen) -> None:
    """Fills an empty database from a backup: the configured one, or the target.

    Raises TransferError, SchemaMismatchError or DatabaseUnavailableError; the database is then as it was.
    """
    quiet_log()
    with running(settings if target is None else None):
        target = target or _configured(settings)
        with screen.step(f"Restoring {file}"):
            restore(file, target, lambda table: screen.now(f"Restoring {file}: {table}"))
        # Alone at the end: what is not empty is refused, and what is empty has no record yet.
        Recorder(settings, "database.restore", str(file.resolve()), target.url).write("done")
        _show(_sound(target.url), f"Restored into {_named(target.url)}", screen)


def move(settings: Settings, target: Target, screen: Screen) -> None:
    """Brings the embedded database to another server, and compares both.

    Nothing may write meanwhile: `up` is kept from starting, and whoever is connected is
    named. Raises as read(); the embedded database stays as it is.
    """
    quiet_log()
    server = EmbeddedServer(settings.var_folder)
    _check_made(settings)
    with lock.held(settings.var_folder, "a move of the database"), running(settings):
        source = look_at(server.owner_url)
        _check_alone(server)
        # What is copied says that it was begun, and there alone it goes on.
        here = Recorder(settings, "database.move", f"to {_named(target.url)}", source.url)
        with here.begun():
            before = counts(source.url)
            with screen.step(f"Moving to {_named(target.url)}"):
                copy(source, target, lambda table: screen.now(f"Moving {table}"))
            with screen.step("Comparing both"):
                report = _compare(source, target, before)
        there = Recorder(settings, "database.move", f"from {socket.gethostname()}", target.url)
        there.write("done")
    _show(report, f"Moved to {_named(target.url)}", screen)
    role = target.application_role
    screen.line("The service uses it from its next start on, if config.yaml or the environment says:")
    screen.line("  database:")
    if role is not None and role != conninfo.conninfo_to_dict(target.url).get("user"):
        screen.line(f"    url: (as below, with the user {role} and its password)")
        screen.line(f"    owner_url: {without_password(target.url)}")
    else:
        screen.line(f"    url: {without_password(target.url)}")
    screen.line(f"The embedded data stays in {server.data_folder}; remove it when you are content.")


def target_of(url: str, role: str) -> Target:
    """Where a person wants to go. Raises ConfigurationError if the URL is none."""
    fault = fault_of(url)
    if fault is not None:
        raise ConfigurationError(f"{without_password(url)}: {fault}")
    return Target(url, role)


def _configured(settings: Settings) -> Target:
    user = conninfo.conninfo_to_dict(application_url(settings)).get("user")
    return Target(owner_url(settings), str(user) if has_two_roles(settings) else None)


@contextmanager
def running(settings: Settings | None) -> Iterator[None]:
    """The embedded database, if it is the one that is meant: started if it does not run, and then stopped."""
    if settings is None or settings.database.url is not None:
        yield
        return
    server = EmbeddedServer(settings.var_folder)
    started = server.start()
    try:
        yield
    finally:
        if started:
            server.stop()


def _check_made(settings: Settings) -> None:
    folder = EmbeddedServer(settings.var_folder).data_folder
    if settings.database.url is None and not folder.exists():
        raise TransferError(f"there is no database yet in {folder}")


def _check_alone(server: EmbeddedServer) -> None:
    # A superuser sees the sessions of everybody.
    found = others(server.superuser_url)
    if found:
        named = ", ".join(f"{name} ({sessions})" for name, sessions in found.items())
        raise RingfenceError(f"somebody is connected, whose writes would be lost: {named}. Stop that first.")


def _compare(source: Source, target: Target, before: dict[str, int]) -> LedgerReport:
    """Raises TransferError unless both hold the same; the target is then not to be used."""
    after = counts(source.url)
    if after != before:
        raise TransferError(f"somebody wrote meanwhile ({_differing(before, after)}). {_again(target)}")
    there = counts(target.url)
    if source.revision == newest_revision() and there != before:
        raise TransferError(f"the two differ ({_differing(before, there)}). {_again(target)}")
    mine, theirs = _sound(source.url), _sound(target.url)
    figures = ("accounts", "entries", "balances_sum", "entries_sum")
    if any(getattr(mine, figure) != getattr(theirs, figure) for figure in figures):
        raise TransferError(f"the two ledgers differ. {_again(target)}")
    return theirs


def _again(target: Target) -> str:
    return f"Don't use {_named(target.url)}: empty it and move again."


def _differing(one: dict[str, int], other: dict[str, int]) -> str:
    names = sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))
    return ", ".join(f"{name}: {one.get(name, 0):,} and {other.get(name, 0):,} rows" for name in names)


def _sound(url: str) -> LedgerReport:
    """The ledger's report. Raises TransferError if a balance is not the sum of its entries."""
    report = asyncio.run(check_ledger(url))
    if not report.is_sound:
        raise TransferError(
            f"{report.differing} accounts of {_named(url)} differ from their entries: see "
            "`ringfence ledger check`"
        )
    return report


def _show(report: LedgerReport, done: str, screen: Screen) -> None:
    screen.line(
        f"{done}: {report.accounts:,} accounts with {report.balances_sum:,} in all, "
        f"{report.entries:,} entries; every balance is the sum of its entries."
    )


def _named(url: str) -> str:
    given = conninfo.conninfo_to_dict(url)
    host, port = given.get("host") or "this machine", given.get("port")
    return f"{given.get('dbname') or given.get('user')} on {host}" + (f":{port}" if port else "")


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 1024 / 1024:.1f} MiB"
