"""Connections that know a deadline: every connection of the product is opened here.

Formula
    A call that is out of time closes its socket. It does not cancel: a server that went
    silent on an established connection hears of no cancel either, and the driver would
    wait for its answer (psycopg #1371). For the same reason a task or thread that is
    interrupted in the middle of a call closes the socket at once. The server notices by
    client_connection_check_interval and stops the work within a second.

How a server is found that
    has gone, or whose host has    the kernel says so; on an idle connection keepalives after
                                   11 s, on one that has sent something tcp_user_timeout, 10 s
    is silent behind something     neither of them helps: the deadline of the call does, and
    that acknowledges for it       who only listens asks a question now and then
    does not answer to a connect   the deadline of opening, over all hosts together and the
                                   lookup of their names

Which host is asked first: see attempt.py. What a connection is for: see profile.py. How its
server settings reach the server, and what a pooler changes about that: settled.py.
"""

import asyncio
import select
import threading
from concurrent.futures import Future
from typing import Any, Self, TypeVar

import psycopg
from psycopg import waiting
from psycopg.abc import PQGen
from psycopg.errors import _WaitTimeout
from psycopg.pq import TransactionStatus
from psycopg.rows import AsyncRowFactory, RowFactory, namedtuple_row

from server.postgres.attempt import Attempt
from server.postgres.faults import is_outage
from server.postgres.profile import CALL_SECONDS_MAX, Profile
from server.postgres.pulse import Pulse
from server.postgres.settled import Row, SettledAsyncConnection, SettledConnection

__all__ = ["Row", "TimedAsyncConnection", "TimedConnection"]

POLL_SECONDS = 0.1  # how often the driver looks for a signal while it waits

Result = TypeVar("Result")


class _Session:
    """What both kinds of connections have: a deadline, and who hears what became of it."""

    pgconn: psycopg.pq.abc.PGconn
    call_seconds_max: float = CALL_SECONDS_MAX
    _part: str | None = None
    _pulse: Pulse | None = None

    def _begin(self, profile: Profile) -> Self:
        self.call_seconds_max = profile.call_seconds_max
        if profile.part is not None:
            # No answer yet: a server that takes connections and nothing else is away.
            self._part, self._pulse = profile.part, profile.pulse
        return self

    @property
    def has_been_told(self) -> bool:
        """Whether the server has said something since the last call: as a rule, that it has gone.

        Asked before a call, it tells a connection that broke while nobody used it, so that
        what is sent over another one was not sent twice.
        """
        poll = select.poll()
        try:
            poll.register(self.pgconn.socket, select.POLLIN)
        except psycopg.OperationalError:
            return True  # there is no socket any more
        return bool(poll.poll(0))

    def _out_of_time(self, seconds: float) -> psycopg.OperationalError:
        self.pgconn.finish()
        error = psycopg.OperationalError(
            f"the database did not answer within {round(seconds, 2):g} s; the connection is closed"
        )
        self._refused(error)
        return error

    def _interrupted(self) -> None:
        if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
            self.pgconn.finish()

    def _answered(self) -> None:
        if self._pulse is not None and self._part is not None:
            self._pulse.answered(self._part)

    def _refused(self, error: psycopg.Error) -> None:
        if self._pulse is None or self._part is None:
            return
        if is_outage(error):
            self._pulse.failed(self._part, error)
        elif error.sqlstate is not None:
            self._pulse.answered(self._part)  # the server has found a fault in what was asked


class TimedConnection(_Session, SettledConnection):
    """A blocking connection, for threads, whose calls end within `call_seconds_max`."""

    @classmethod
    def open(
        cls,
        profile: Profile,
        *,
        autocommit: bool = True,
        row_factory: RowFactory[Row] = namedtuple_row,
        prepare_threshold: int | None = 5,
    ) -> Self:
        """Connects. Raises ConnectFailedError when there is no connection within its time.

        The work is a thread's: looking up a name can't be interrupted, and takes half a
        minute where the name servers are away, too.
        """
        tried = Attempt(profile)
        opened: Future[Self] = Future()

        def connect() -> None:
            try:
                connection = cls.connect(
                    tried.conninfo,
                    autocommit=True,
                    row_factory=row_factory,
                    prepare_threshold=prepare_threshold,
                )
                try:
                    connection.settle(profile.settings)
                    connection.autocommit = autocommit
                except BaseException:
                    connection.close()
                    raise
                opened.set_result(connection)
            except BaseException as error:
                opened.set_exception(error)

        threading.Thread(target=connect, name=f"opening {profile.name}", daemon=True).start()
        try:
            connection = opened.result(timeout=tried.seconds)
        except TimeoutError:
            opened.add_done_callback(_close)  # nobody waits for it any more
            raise tried.failed(None) from None
        except psycopg.Error as error:
            raise tried.failed(error) from error
        tried.succeeded(connection.info)
        return connection._begin(profile)

    def wait(
        self, gen: PQGen[Result], interval: float = POLL_SECONDS, timeout: float | None = None
    ) -> Result:
        seconds = self.call_seconds_max if timeout is None else timeout
        try:
            result = waiting.wait(gen, self.pgconn.socket, interval=interval, timeout=seconds)
        except _WaitTimeout:
            if timeout is not None:
                raise  # a caller's own timeout is its way to be woken, no fault
            raise self._out_of_time(seconds) from None
        except psycopg.Error as error:
            self._refused(error)
            raise
        except KeyboardInterrupt:
            self._interrupted()
            raise
        self._answered()
        return result


class TimedAsyncConnection(_Session, SettledAsyncConnection):
    """A connection of the event loop whose calls end within `call_seconds_max`."""

    @classmethod
    async def open(
        cls,
        profile: Profile,
        *,
        autocommit: bool = True,
        row_factory: AsyncRowFactory[Row] = namedtuple_row,
    ) -> Self:
        """Connects. Raises ConnectFailedError when there is no connection within its time."""
        tried = Attempt(profile)
        try:
            # To cancel is right here: without a session there is nothing that the driver waits for.
            async with asyncio.timeout(tried.seconds):
                connection = await super().connect(tried.conninfo, autocommit=True, row_factory=row_factory)
                try:
                    await connection.settle(profile.settings)
                    await connection.set_autocommit(autocommit)
                except BaseException:
                    await connection.close()
                    raise
        except TimeoutError:
            raise tried.failed(None) from None
        except psycopg.Error as error:
            raise tried.failed(error) from error
        tried.succeeded(connection.info)
        return connection._begin(profile)

    async def wait(
        self, gen: PQGen[Result], interval: float = POLL_SECONDS, timeout: float | None = None
    ) -> Result:
        seconds = self.call_seconds_max if timeout is None else timeout
        try:
            result = await waiting.wait_async(gen, self.pgconn.socket, interval=interval, timeout=seconds)
        except _WaitTimeout:
            if timeout is not None:
                raise  # a caller's own timeout (notifies() waits with one) is its way to be woken, no fault
            raise self._out_of_time(seconds) from None
        except psycopg.Error as error:
            self._refused(error)
            raise
        except (asyncio.CancelledError, KeyboardInterrupt):
            self._interrupted()
            raise
        self._answered()
        return result


def _close(opened: "Future[Any]") -> None:
    if opened.exception() is None:
        opened.result().close()
