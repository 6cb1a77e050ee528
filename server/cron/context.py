"""What a job is given: who it is, and how to tell, sleep, write and be stopped.

Lives where the job lives: in a process of its own, where a thread listens to the
node, since the job may be a plain function that never returns to any loop; or,
for a job in the node's loop, beside everything else (loop_jobs.py).
"""

from __future__ import annotations

import asyncio
import json
import select
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

from server.cron.outcome import progress_report

if TYPE_CHECKING:
    import psycopg

    from server.postgres.profile import Profile
    from server.postgres.sessions import TimedAsyncConnection, TimedConnection

PROGRESS_SECONDS_MIN = 0.5
CALL_SECONDS_MAX = 60.0
PACKET_BYTES_MAX = 200_000


class JobCancelled(BaseException):
    """The job is asked to stop; passes every `except Exception` of the job's own code."""


@dataclass(frozen=True)
class RunSpec:
    """What the node tells a job at its start.

    traceparent: of the run's span, while runs are traced. home: the folder of config.yaml;
        a node whose program was exchanged while it runs does not name it yet.
    """

    run_id: int
    task: str
    node: str
    function: str
    params: dict[str, Any]
    var: str
    scratch: str
    database_url: str
    memory_bytes_max: int | None = None
    traceparent: str | None = None
    home: str = "."


class Link(Protocol):
    """What connects a job with its node."""

    cancelled: threading.Event

    def progress(self, report: dict[str, Any]) -> None:
        """Passes on how far the job is."""


class Channel:
    """The job's end of the socket to its node; one JSON object a packet."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._pending: dict[str, Any] | None = None
        self._sent_at = 0.0
        self._guard = threading.Lock()
        self.cancelled = threading.Event()
        self.on_cancel: Callable[[], None] | None = None

    def receive_spec(self) -> RunSpec:
        """Blocks until the node has said what to do."""
        return RunSpec(**json.loads(self._socket.recv(PACKET_BYTES_MAX)))

    def listen(self) -> None:
        """Hears the node from a thread of its own from now on."""
        threading.Thread(target=self._hear, name="channel", daemon=True).start()

    def progress(self, report: dict[str, Any]) -> None:
        """Sends a report, or keeps the newest until one may be sent again."""
        with self._guard:
            self._pending = report
            self._flush(monotonic())

    def finish(self, outcome: Mapping[str, Any]) -> None:
        """Sends the last report and the outcome; nothing follows."""
        with self._guard:
            self._flush(self._sent_at + PROGRESS_SECONDS_MIN)
            self._socket.setblocking(True)
            self._socket.send(json.dumps(dict(outcome), ensure_ascii=False).encode())

    def _flush(self, now: float) -> None:
        if self._pending is None or now - self._sent_at < PROGRESS_SECONDS_MIN:
            return
        try:
            self._socket.send(json.dumps({"progress": self._pending}).encode(), socket.MSG_DONTWAIT)
        except BlockingIOError:
            return  # the node is busy; the thread tries again, with a newer report perhaps
        self._pending = None
        self._sent_at = monotonic()

    def _hear(self) -> None:
        while True:
            ready, _, _ = select.select([self._socket], [], [], PROGRESS_SECONDS_MIN)
            with self._guard:
                self._flush(monotonic())
            if not ready:
                continue
            data = self._socket.recv(PACKET_BYTES_MAX)
            # Without a node nobody may run; the guardian kills us too, this is the gentler way.
            if not data or "cancel" in json.loads(data):
                self.cancelled.set()
                if self.on_cancel is not None:
                    self.on_cancel()
                return


class Context:
    """What a plain function gets as its first argument."""

    def __init__(self, spec: RunSpec, link: Link) -> None:
        self.run_id = spec.run_id
        """The run's id; it is the run's fencing token."""
        self.task = spec.task
        self.node = spec.node
        self.var = Path(spec.var)
        """The folder where this installation keeps what it writes."""
        self.scratch = Path(spec.scratch)
        """A private folder that is removed when the run has ended."""
        self.traceparent = spec.traceparent
        """The W3C trace context of the run, for spans of the job's own; None while nobody collects traces."""
        self._database_url = spec.database_url
        self._link = link

    @property
    def cancelled(self) -> bool:
        """Whether the job is asked to stop; look at it in long loops."""
        return self._link.cancelled.is_set()

    def progress(self, done: float, total: float, message: str = "") -> None:
        """Reports how far the job is; cheap, may be called as often as wanted."""
        self._link.progress(progress_report(done, total, message))

    def sleep(self, seconds: float) -> None:
        """Sleeps; raises JobCancelled as soon as the job is asked to stop."""
        if self._link.cancelled.wait(max(0.0, seconds)):
            raise JobCancelled

    def connect(self, *, call_seconds_max: float = CALL_SECONDS_MAX) -> TimedConnection:
        """A psycopg connection with the application's rights, to be used as a context manager.

        A statement that takes longer than `call_seconds_max` closes it, and raises
        psycopg.OperationalError.
        """
        from psycopg.rows import tuple_row  # noqa: PLC0415 a job without a database starts in half the time

        from server.postgres.sessions import TimedConnection  # noqa: PLC0415

        return TimedConnection.open(self._profile(call_seconds_max), autocommit=False, row_factory=tuple_row)

    def guard(self, connection: psycopg.Connection[Any]) -> None:
        """Lets the transaction that is open on `connection` commit only while this run is its own.

        Call it inside the transaction that writes, and commit soon: the lease's
        rest limits the transaction. Raises RunLostError when the run was lost,
        UnguardedError where there is no transaction.
        """
        import psycopg  # noqa: PLC0415

        try:
            connection.execute(_guard_statement(), {"run_id": self.run_id})
        except psycopg.Error as error:
            raise _run_lost(error) from error
        _check_transaction(connection)

    def _profile(self, call_seconds_max: float) -> Profile:
        from server.postgres.profile import Profile  # noqa: PLC0415

        name = f"ringfence run {self.run_id} {self.task}"
        return Profile(self._database_url, name, call_seconds_max=call_seconds_max)


class AsyncContext(Context):
    """What a coroutine gets as its first argument; a cancel arrives as CancelledError."""

    async def sleep(self, seconds: float) -> None:  # type: ignore[override]
        """Sleeps; a cancel ends it at once."""
        await asyncio.sleep(max(0.0, seconds))

    async def connect(  # type: ignore[override]
        self, *, call_seconds_max: float = CALL_SECONDS_MAX
    ) -> TimedAsyncConnection:
        """As Context.connect()."""
        from psycopg.rows import tuple_row  # noqa: PLC0415

        from server.postgres.sessions import TimedAsyncConnection  # noqa: PLC0415

        return await TimedAsyncConnection.open(
            self._profile(call_seconds_max), autocommit=False, row_factory=tuple_row
        )

    async def guard(self, connection: psycopg.AsyncConnection[Any]) -> None:  # type: ignore[override]
        """As Context.guard()."""
        import psycopg  # noqa: PLC0415

        try:
            await connection.execute(_guard_statement(), {"run_id": self.run_id})
        except psycopg.Error as error:
            raise _run_lost(error) from error
        _check_transaction(connection)


def _guard_statement() -> str:
    from server.postgres.statements import load  # noqa: PLC0415

    return load("server.cron", "runs.sql")["assert_run"]


def _check_transaction(connection: psycopg.BaseConnection[Any]) -> None:
    from psycopg.pq import TransactionStatus  # noqa: PLC0415

    from server.errors import UnguardedError  # noqa: PLC0415

    # With autocommit the guard's own statement was the whole transaction.
    if connection.info.transaction_status is TransactionStatus.IDLE:
        raise UnguardedError


def _run_lost(error: psycopg.Error) -> Exception:
    from server.errors import RunLostError  # noqa: PLC0415
    from server.postgres.faults import Fault, classify  # noqa: PLC0415

    return RunLostError(str(error)) if classify(error) is Fault.RUN_LOST else error
