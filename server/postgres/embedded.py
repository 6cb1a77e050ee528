"""The embedded PostgreSQL: one server of our own, out of a wheel, reached by its socket alone.

States, seen from outside
    absent     no data folder: initialise() makes it
    stopped    a data folder, and no living server of it
    starting   a server lives, and postmaster.pid does not say "ready"
    ready      it accepts connections

Authority
    `var/run/postgres.lock` is held, as an inherited descriptor, by every process
    of the server from before its start until the last of them has ended. Who
    holds it while none lives may start one; so two starters never meet, and a
    new server never meets the rest of a dead one.
"""

import contextlib
import fcntl
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn
from urllib.parse import quote, quote_from_bytes

from server.errors import DatabaseUnavailableError
from server.postgres import data_folder, postmaster, socket_folder, version_upgrade
from server.postgres.binaries import MAJOR_VERSION, NO_NAMESPACE, clean_environment, server_argv
from server.postgres.launch import EXIT_NO_NAMESPACE

POLL_SECONDS = 0.02
LOCK_SECONDS_MAX = 15.0
START_SECONDS_MAX = 120.0
STOP_SECONDS_MAX = 30.0


class ServerRunsError(DatabaseUnavailableError):
    """A server of this data folder runs already, so no second one may start."""


class EmbeddedServer:
    """The server whose data lies in `var_folder`/postgres. Making this object touches nothing."""

    def __init__(self, var_folder: Path) -> None:
        self.var_folder = var_folder
        self.data_folder = var_folder / "postgres"
        self.log_file = var_folder / "log" / "postgres.log"
        self._lock_file = var_folder / "run" / "postgres.lock"

    @property
    def socket_folder(self) -> Path:
        """Where the socket lies, or will lie; short enough for one."""
        return socket_folder.socket_folder(self.var_folder)

    @property
    def application_url(self) -> str:
        """For the service: a role that owns nothing."""
        return self._url(data_folder.APPLICATION_ROLE)

    @property
    def owner_url(self) -> str:
        """For migrations: the superuser in the role of the owner, which cannot log in."""
        role = quote(f"-c role={data_folder.OWNER_ROLE}", safe="")
        return f"{self._url(data_folder.SUPERUSER)}&options={role}"

    @property
    def superuser_url(self) -> str:
        """For an administrator."""
        return self._url(data_folder.SUPERUSER)

    def running_pid(self) -> int | None:
        """The pid of the server while it lives; None when nothing runs."""
        return postmaster.running_pid(self.data_folder)

    def is_ready(self) -> bool:
        """Whether the server lives and accepts connections."""
        return self.running_pid() is not None and postmaster.is_ready(self.data_folder)

    def initialise(self) -> bool:
        """Makes the data folder, its roles and the database, unless they are there.

        Returns whether it made them. Raises DatabaseUnavailableError when they
        can't be made, or when what is there can't be used.
        """
        with self._folders_open():
            if data_folder.exists(self.data_folder):
                data_folder.check(self.data_folder)
                return False
            with contextlib.suppress(ServerRunsError), self._lock():
                version_upgrade.finish(self.data_folder)
                if not data_folder.exists(self.data_folder):
                    data_folder.make(self.data_folder)
                    return True
            return False  # another starter made it meanwhile

    def upgrade(self, programs: Path | None = None) -> Path | None:
        """Brings data of an older major version to this one; see version_upgrade.py.

        Returns where the old data lies now; None if there was nothing to do. Raises
        ServerRunsError, or DatabaseUnavailableError with the reason.
        """
        with self._lock():
            if self.running_pid() is not None:
                raise ServerRunsError(f"PostgreSQL runs on {self.data_folder}")
            version_upgrade.finish(self.data_folder)
            if not data_folder.exists(self.data_folder):
                return None
            if data_folder.version_of(self.data_folder) == str(MAJOR_VERSION):
                return None
            with self._folders_open():
                folder = socket_folder.make_socket_folder(self.var_folder)
                return version_upgrade.upgrade(self.data_folder, folder, programs)

    def run_in_foreground(self) -> NoReturn:
        """Becomes the server, for supervisord; it ends, fast, when its parent ends.

        Raises DatabaseUnavailableError when it runs already or can't be started.
        """
        self.initialise()
        with self._lock() as lock:
            self._prepare()
            os.set_inheritable(lock, True)
            argv = server_argv("postgres", "-D", str(self.data_folder), die_with_parent=True)
            os.execve(argv[0], argv, clean_environment())  # noqa: S606 nothing of it comes from outside

    def start(self) -> bool:
        """Starts the server, detached, and waits until it accepts connections.

        Returns False if it ran already. Raises DatabaseUnavailableError with the
        end of its log if it ends instead.
        """
        self.initialise()
        try:
            with self._lock() as lock:
                self._prepare()
                pid = self._spawn_detached(lock)
        except ServerRunsError:
            self.wait_until_ready()
            return False
        self._wait_for_child(pid)
        return True

    def stop(self, *, seconds_max: float = STOP_SECONDS_MAX) -> bool:
        """Stops the server: at once for its clients, and with a clean end of its files.

        Returns False if none ran. After `seconds_max` it is made to stop without
        the clean end, which costs the next start a recovery and loses nothing.
        """
        pid = self.running_pid()
        if pid is None:
            return False
        for order, seconds in ((signal.SIGINT, seconds_max), (signal.SIGQUIT, 5.0)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, order)
            if self._wait_until_ended(pid, seconds):
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)  # ours to reap if start() was called by this process
                socket_folder.remove_outside_folder(self.var_folder)
                return True
        raise DatabaseUnavailableError(f"PostgreSQL (pid {pid}) does not stop; see {self.log_file}")

    def wait_until_ready(self, *, seconds_max: float = START_SECONDS_MAX) -> None:
        """Waits until the server accepts connections; a recovery after a crash may take its time.

        Raises DatabaseUnavailableError when it doesn't within `seconds_max`.
        """
        deadline = time.monotonic() + seconds_max
        while not self.is_ready():
            if time.monotonic() > deadline:
                raise DatabaseUnavailableError(
                    f"PostgreSQL accepts no connections after {seconds_max:g} s; see {self.log_file}"
                )
            time.sleep(POLL_SECONDS)

    def _prepare(self) -> None:
        """Clears what a dead server left, and writes what the next one reads. Needs the lock."""
        pid = self.running_pid()
        if pid is not None:
            raise ServerRunsError(f"PostgreSQL runs already on {self.data_folder} (pid {pid})")
        data_folder.check(self.data_folder)
        with self._folders_open():
            folder = socket_folder.make_socket_folder(self.var_folder)
            postmaster.pid_file(self.data_folder).unlink(missing_ok=True)
            for name in (f".s.PGSQL.{data_folder.PORT}", f".s.PGSQL.{data_folder.PORT}.lock"):
                (folder / name).unlink(missing_ok=True)
            data_folder.write_settings(self.data_folder, folder)

    def _spawn_detached(self, lock: int) -> int:
        argv = server_argv("postgres", "-D", str(self.data_folder))
        os.set_inheritable(lock, True)
        log = os.open(self.log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            # Not subprocess: its objects want to see the end of what they started,
            # and this server outlives us.
            return os.posix_spawn(
                argv[0],
                argv,
                clean_environment(),
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_DUP2, log, 1),
                    (os.POSIX_SPAWN_DUP2, log, 2),
                ],
                setsid=True,
            )
        finally:
            os.close(log)

    def _wait_for_child(self, pid: int) -> None:
        deadline = time.monotonic() + START_SECONDS_MAX
        while not self.is_ready():
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended and os.waitstatus_to_exitcode(status) == EXIT_NO_NAMESPACE:
                raise DatabaseUnavailableError(NO_NAMESPACE)
            if ended:
                raise DatabaseUnavailableError(f"PostgreSQL ended while it started:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise DatabaseUnavailableError(
                    f"PostgreSQL accepts no connections after {START_SECONDS_MAX:g} s:\n{self.log_tail()}"
                )
            time.sleep(POLL_SECONDS)

    def log_tail(self, lines: int = 8) -> str:
        """The last lines of the server's log, indented, for a message."""
        try:
            text = self.log_file.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return "  (there is no log)"
        return "\n".join(f"  {line}" for line in text.splitlines()[-lines:])

    def _wait_until_ended(self, pid: int, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while postmaster.serves(pid, self.data_folder):
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_SECONDS)
        return True

    @contextlib.contextmanager
    def _folders_open(self) -> Iterator[None]:
        """Turns a refused or full file system into a message."""
        try:
            yield
        except OSError as error:
            raise DatabaseUnavailableError(
                f"{error.filename or self.var_folder}: the database can't be kept here: {error.strerror}"
            ) from None

    @contextlib.contextmanager
    def _lock(self) -> Iterator[int]:
        """Holds the right to start a server, as a descriptor that a server can inherit."""
        with self._folders_open():
            self._lock_file.parent.mkdir(parents=True, exist_ok=True)
            self.log_file.parent.mkdir(parents=True, exist_ok=True)
            lock = os.open(self._lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._acquire(lock)
            yield lock
        finally:
            os.close(lock)  # an inherited copy keeps the lock

    def _acquire(self, lock: int) -> None:
        """Waits for a server that is ending; one that is ready is not waited for."""
        deadline = time.monotonic() + LOCK_SECONDS_MAX
        while True:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            if self.is_ready():
                raise ServerRunsError(f"PostgreSQL runs already on {self.data_folder}")
            if time.monotonic() > deadline:
                raise DatabaseUnavailableError(
                    f"Processes of an earlier PostgreSQL on {self.data_folder} have not ended yet."
                )
            time.sleep(POLL_SECONDS)

    def _url(self, role: str) -> str:
        # The port too: a PGPORT in the environment would change the socket's name.
        host = quote_from_bytes(os.fsencode(self.socket_folder), safe="")
        return f"postgresql://{role}@/{data_folder.DATABASE}?host={host}&port={data_folder.PORT}"
