"""`ringfence up`: everything in the foreground, from nothing to a service that answers.

Order   lock, ports, data folder -> supervisord (PostgreSQL and the nodes start
        at once, the nodes wait for their schema) -> migrations, here, so that
        an error is seen -> every node answers -> watch.
End     by a signal (see signals.py) or because supervisord ended; either way
        nothing that was started here is left (see stopping.py).
"""

import os
import resource
import signal
import sys
import time
from pathlib import Path
from shlex import quote

from server.cli import configuration, lock, ports, processes
from server.cli.migrate import migrate, why_unreachable
from server.cli.names_held import refuse_held_names
from server.cli.readiness import Readiness, StartFailedError, address
from server.cli.recorded import Recorder
from server.cli.screen import Screen
from server.cli.signals import Level, Signals, StopRequested
from server.cli.stopping import stop
from server.cli.supervision import Supervisor
from server.cli.token_check import refuse_without_token
from server.errors import RingfenceError
from server.exposure import are_tokens_required
from server.postgres import socket_folder
from server.postgres.embedded import START_SECONDS_MAX, EmbeddedServer
from server.settings import CONFIG_VARIABLE, Settings
from server.web.tls import certificate_of

OPEN_FILES = 65_536
LEFT_OVER_SECONDS_MAX = 10.0
WATCH_SECONDS = 5.0
RETRY_SECONDS = 1.0
STOP_RECORD_SECONDS_MAX = 1.0


def run(settings: Settings) -> int:
    """Runs the service until it is told to end; returns the exit code.

    Raises RingfenceError with the reason if it can't be started, or ended by
    itself; everything is stopped by then.
    """
    with lock.held(settings.var_folder, address(settings)):
        return Up(settings).run()


class Up:
    """One run of the service, from its start to its end."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._began = time.monotonic()
        self._screen = Screen()
        self._signals = Signals()
        self._server = EmbeddedServer(settings.var_folder) if settings.database.url is None else None
        self._supervisor = Supervisor(settings, configuration.files(settings))

    def run(self) -> int:
        """Starts, watches, stops."""
        processes.become_subreaper()
        _raise_open_files()
        try:
            with self._signals.interrupting():
                self._start()
            self._watch()
            # Quickly, and silently if the database has gone: it is about to stop.
            self._record("service.stop").write("begun", is_quiet=True, seconds_max=STOP_RECORD_SECONDS_MAX)
        except StopRequested:
            pass  # what was asked for is done below
        finally:
            # Whatever brought us here without a signal is a failure: no reason to linger.
            self._signals.level = self._signals.level or Level.FAST
            stop(self._settings, self._supervisor, self._signals, self._screen)
        self._screen.line("Stopped.")
        return 0

    def _start(self) -> None:
        # Before six instances start of which none can say it on the terminal.
        certificate_of(self._settings)
        self._await_left_over()
        taken = ports.taken(ports.needed(self._settings))
        if taken:
            raise StartFailedError(ports.describe(taken, self._settings))
        if self._server is not None:
            self._prepare_database(self._server)
        refuse_held_names(self._settings, self._signals.wait)
        configuration.write(self._settings)
        socket_folder.make_socket_folder(self._settings.var_folder)
        self._supervisor.start()
        readiness = Readiness(self._settings, self._supervisor, self._screen, self._signals)
        if self._server is not None:
            with self._screen.step("Starting PostgreSQL"):
                self._wait_for_database(self._server, readiness)
        else:
            self._wait_for_external_database(readiness)
        if self._settings.database.migrate:
            with self._screen.step("Migrating the schema"):
                migrate(self._settings)
        refuse_without_token(self._settings)
        with self._screen.step(f"Starting {self._settings.cluster.instances} instances"):
            readiness.wait()
        self._record("service.start").write("done")
        self._announce()

    def _await_left_over(self) -> None:
        """Waits for what a killed `up` left behind, which ends by itself, and ends what does not."""
        folder = self._settings.var_folder
        remaining = processes.left_over(folder)
        if not remaining:
            return
        with self._screen.step(f"Waiting for {len(remaining)} processes of the previous run to end"):
            if not processes.wait_until(lambda: not processes.left_over(folder), LEFT_OVER_SECONDS_MAX):
                processes.send(processes.left_over(folder), signal.SIGKILL)
                processes.wait_until(lambda: not processes.left_over(folder), 5.0)

    def _prepare_database(self, server: EmbeddedServer) -> None:
        pid = server.running_pid()
        if pid is not None:
            with self._screen.step(f"Taking over the database that ran already (pid {pid})"):
                server.stop()
        if server.data_folder.exists():
            server.initialise()  # it only checks, and is silent
            return
        with self._screen.step(f"Making the database in {_short(server.data_folder)}"):
            server.initialise()

    def _wait_for_database(self, server: EmbeddedServer, readiness: Readiness) -> None:
        deadline = time.monotonic() + START_SECONDS_MAX
        while not server.is_ready():
            readiness.look()
            if time.monotonic() > deadline:
                raise StartFailedError(f"PostgreSQL accepts no connections:\n{server.log_tail()}")
            self._signals.wait(processes.POLL_SECONDS)

    def _wait_for_external_database(self, readiness: Readiness) -> None:
        """It may start after us: the instances wait for it, and so do we. A wrong URL looks the same."""
        is_told = False
        while (reason := why_unreachable(self._settings)) is not None:
            if not is_told:
                self._screen.warn(f"{reason}\n  It is waited for; Ctrl-C ends that.")
                is_told = True
            readiness.look()
            self._signals.wait(RETRY_SECONDS)

    def _watch(self) -> None:
        while self._signals.level is Level.RUN:
            self._signals.wait(WATCH_SECONDS)
            if not self._supervisor.lives():
                raise RingfenceError(
                    f"supervisord ended by itself, so everything was stopped. Its log ends with:\n"
                    f"{self._supervisor.last_words()}"
                )
            # What a guardian's end leaves over becomes ours, and some of it is dead already.
            processes.reap()

    def _record(self, action: str) -> Recorder:
        return Recorder(self._settings, action, address(self._settings))

    def _announce(self) -> None:
        settings, url = self._settings, address(self._settings)
        seconds = time.monotonic() - self._began
        command = _command()
        token = ' -H "Authorization: Bearer $RINGFENCE_TOKEN"' if are_tokens_required(settings) else ""
        self._screen.line("")
        self._screen.line(f"Ringfence is ready after {seconds:.1f} s: {url}", style="bold")
        for what, how in (
            (
                "Withdraw",
                f"curl -s {url}/withdraw{token} -H 'Content-Type: application/json' "
                """-d '{"userId": 1, "amount": 5}'""",
            ),
            ("Watch", f"{command} top; or open the address above in a browser"),
            ("Events", f"{command} db psql -- -c 'listen task_events' -c 'select pg_sleep(10)'"),
            ("Database", f"{command} db psql"),
            ("Logs", f"{_short(settings.var_folder / 'log')}/"),
            ("Stop", "Ctrl-C"),
        ):
            self._screen.line(f"  {what:<10}{how}")


def _command() -> str:
    """How a person here calls this program."""
    script = Path(sys.executable).with_name("ringfence")
    named = os.environ.get(CONFIG_VARIABLE)
    config = f" --config {quote(_short(Path(named)))}" if named else ""
    return f"{quote(_short(script)) if script.exists() else 'ringfence'}{config}"


def _short(path: Path) -> str:
    """A path as seen from here, if that is shorter."""
    relative = os.path.relpath(path)
    return relative if len(relative) < len(str(path)) else str(path)


def _raise_open_files() -> None:
    """Gives all that is started as many open files as the system allows without asking."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
