"""One node: composes all parts, and owns the order in which they start and stop.

Start   logs, limits, sockets -> HTTP (alive, not ready) -> schema -> tasks defined
        -> ready -> listener and scheduler; its part in the cluster (participant.py)
Stop    not ready, nothing accepted -> drained, and out of the cluster -> HTTP -> database
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Coroutine
from typing import Any

import structlog
from tornado.httpserver import HTTPServer

from server import exposure, process, supervised, tracing
from server.access.keyring import Keyring
from server.access.refused import RefusalRecord
from server.cluster.lease import boot_time
from server.errors import ConfigurationError, DatabaseUnavailableError, NameInUseError, RingfenceError
from server.money.bank import Bank
from server.money.batcher import Batcher
from server.money.poster import Poster
from server.money.pulse import Teller
from server.participant import FAST_STOP_SECONDS, Participant, StopRequest
from server.postgres.connections import Database
from server.postgres.listener import Hearer, Listener
from server.postgres.preparation import prepare_schema
from server.postgres.urls import application_url, listen_url
from server.service_manager import ServiceManager
from server.settings import Settings
from server.web.application import Services, make_front_door
from server.web.feed import Feed
from server.web.gate import Gate
from server.web.metrics.node import LoopLag, collectors_of
from server.web.metrics.requests import RefusalCollector
from server.web.server import LimitedServer, make_http_server

CHANNELS = ("node_events", "task_events", "task_wakeups", "token_events")
REFUSED_EXIT = 2  # what ends with this, supervisord does not restart
HTTP_DRAIN_SECONDS_MAX = 5.0

log = structlog.get_logger(__name__)


class Node:
    """One running instance of the server."""

    def __init__(self, settings: Settings, number: int) -> None:
        self.settings = settings
        self.number = number
        self.name = f"node-{number}"
        url = application_url(settings)
        self._database = Database(
            url, connections=settings.database.connections, name=f"ringfence {self.name}"
        )
        # A connection apart, so that a crowd of withdrawals keeps no run from being started or ended.
        self._poster = Poster(url, f"ringfence {self.name} money", settings.money.deadline_seconds)
        self._batcher = Batcher(self._poster)
        self._stop_request = StopRequest()
        self._participant = Participant(settings, number, url, self._database, self._stop_request)
        self._manager = ServiceManager.from_environment(os.environ)
        self._listener = Listener(
            listen_url(settings),
            f"ringfence {self.name}",
            CHANNELS,
            Hearer(self._notified, self._listening, self._participant.scheduler.sign),
        )
        self._feed = Feed(self._database)
        self._lag = LoopLag()
        self._keyring = Keyring(
            self._database, is_told=lambda: self._listener.is_listening, changed=self._feed.look_up
        )
        self._refusals = RefusalRecord(self._database, self.name, boot_time)
        self._is_prepared = False
        self._failure: RingfenceError | None = None

    async def run(self) -> int:
        """Serves until a signal ends it; returns the process's exit code."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._stop_request.make)
        loop.add_signal_handler(signal.SIGINT, self._stop_request.make_urgent)
        http = self._serve_http()
        await self._database.open()
        serving = {
            self._for_good(self._batcher.run()),
            self._for_good(http.follow_certificate()),
            self._for_good(self._feed.run()),
            self._for_good(self._lag.run()),
            self._for_good(self._manager.show_life()),
        }
        cluster = asyncio.create_task(self._take_part())
        await self._stop_request.asked.wait()
        await self._stop(http, cluster, serving)
        if isinstance(self._failure, NameInUseError | ConfigurationError):
            await asyncio.sleep(supervised.REFUSAL_SECONDS)
            return REFUSED_EXIT
        return 0 if self._failure is None else 1

    # Start

    def _serve_http(self) -> LimitedServer:
        listening = process.listening_sockets(self.settings, self.number)
        is_required = exposure.are_tokens_required(self.settings) or exposure.are_exposed(listening)
        self._gate = Gate(self._keyring, is_required=is_required, refused=self._refusals.note)
        part = self._participant
        services = Services(
            settings=self.settings,
            node_name=self.name,
            database=self._database,
            bank=Bank(self._database, self._batcher, self.settings.money.deadline_seconds),
            batcher=self._batcher,
            feed=self._feed,
            gate=self._gate,
            readiness=self._not_ready_because,
            collectors=[
                *collectors_of(part.membership, part.scheduler, self._listener, lambda: part.tenure),
                self._lag,
                RefusalCollector(self._refusals.refusals),
            ],
        )
        self._door = make_front_door(services)
        http = make_http_server(self._door)
        http.add_sockets(listening)
        addresses = [f"{host}:{port}" for host, port in (sock.getsockname()[:2] for sock in listening)]
        log.info("serving", node=self.name, pid=os.getpid(), addresses=addresses)
        return http

    def _not_ready_because(self) -> list[str]:
        if self._stop_request.is_made:
            return ["this node is stopping"]
        return [] if self._is_prepared else ["the database's schema is not ready"]

    async def _take_part(self) -> None:
        """Prepares the schema, then lives one tenure after the other until the node stops."""
        services: list[asyncio.Task[None]] = []
        try:
            await asyncio.to_thread(prepare_schema, self.settings, self._stop_request.asked.is_set)
            if self._stop_request.is_made:
                return
            await self._read_tokens()
            await self._participant.define_tasks()
            self._is_prepared = True
            self._manager.ready(f"{self.name} serves")
            teller = Teller(self._database, self.name, self._batcher.tally)
            parts = (
                self._listener.run(),
                self._participant.scheduler.run(),
                teller.run(),
                self._keyring.run(),
                self._refusals.run(),
            )
            services = [self._for_good(part) for part in parts]
            await self._participant.take_part()
        except RingfenceError as error:
            log.error("the node cannot go on", node=self.name, error=str(error))
            self._failure = error
            self._stop_request.asked.set()
        except Exception:
            log.exception("the node cannot go on", node=self.name)
            self._failure = RingfenceError("unexpected error")
            self._stop_request.asked.set()
        finally:
            for service in services:
                service.cancel()

    def _for_good(self, service: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Runs a part that never ends by itself: without it this node would look healthy and do nothing."""

        def ended(task: "asyncio.Task[None]") -> None:
            if not task.cancelled():
                log.error("the node cannot go on", node=self.name, exc_info=task.exception())
                self._failure = RingfenceError("unexpected error")
                self._stop_request.asked.set()

        task = asyncio.create_task(service)
        task.add_done_callback(ended)
        return task

    async def _read_tokens(self) -> None:
        """Returns when they are known. Raises ConfigurationError if one is needed and there is none."""
        while not self._stop_request.is_made:
            try:
                if self._gate.is_required and await self._keyring.is_empty():
                    raise ConfigurationError(exposure.why_refused(self.settings))
                await self._keyring.read()
            except DatabaseUnavailableError as error:
                log.debug("the tokens wait for the database", error=str(error))
            else:
                return

    # While it runs

    async def _listening(self) -> None:
        """Reads again what may have been told while nobody listened."""
        self._keyring.wake()
        await self._participant.membership.refresh()

    def _notified(self, channel: str, payload: str) -> None:
        if channel == "token_events":
            self._keyring.wake()
            return
        self._feed.wake()
        if channel == "node_events":
            self._participant.membership.refresh_soon()
        elif channel == "task_events":
            self._participant.scheduler.heard(payload)
        else:
            self._participant.scheduler.wake()

    # Stop

    async def _stop(
        self, http: HTTPServer, cluster: "asyncio.Task[None]", serving: "set[asyncio.Task[None]]"
    ) -> None:
        log.info("stopping", node=self.name, fast=self._stop_request.urgent.is_set())
        self._manager.stopping(supervised.stop_seconds(self.settings))
        http.stop()
        # Connections that are open are served on, and each told to close.
        http.conn_params.no_keep_alive = True
        self._feed.close()
        await cluster
        in_hurry = self._stop_request.urgent.is_set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(
                FAST_STOP_SECONDS if in_hurry else self.settings.money.deadline_seconds
            ):
                await self._batcher.drained()
        await process.drain_connections(
            http, self._door.patience.close_idle, 0.2 if in_hurry else HTTP_DRAIN_SECONDS_MAX
        )
        for task in serving:
            task.cancel()
        await asyncio.wait(serving)
        await self._poster.reset()
        await self._database.close()
        await asyncio.to_thread(tracing.end)
        self._manager.close()
        log.info("stopped", node=self.name)


def run_node(settings: Settings, number: int) -> int:
    """Runs node `number` in this process until it ends; returns the exit code."""
    process.prepare(settings, f"node-{number}")
    settings = supervised.fit_drain(settings, os.environ)

    async def main() -> int:
        return await Node(settings, number).run()

    with asyncio.Runner(loop_factory=process.loop_factory()) as runner:
        return runner.run(main())
