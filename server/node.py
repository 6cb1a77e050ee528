"""One node: composes all parts, and owns the order in which they start and stop.

Start   logs, limits, sockets -> HTTP (alive, not ready) -> schema -> tasks defined
        -> ready -> joined -> listener and scheduler
Stop    not ready, nothing accepted -> draining: no new runs, heartbeats go on ->
        last run ended or interrupted -> left the table -> HTTP -> database
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Coroutine
from typing import Any

import structlog
from tornado.httpserver import HTTPServer

from server import exposure, process, supervised, tracing
from server.access.keyring import Keyring
from server.cluster.membership import Membership
from server.cluster.tenure import Tenure, TenureEvents
from server.cron.catalogue import Catalogue
from server.cron.loop_jobs import refuse_plain_functions
from server.cron.runner import Runner
from server.cron.scheduler import Scheduler
from server.errors import ConfigurationError, DatabaseUnavailableError, NameInUseError, RingfenceError
from server.money.bank import Bank
from server.money.batcher import Batcher
from server.money.poster import Poster
from server.money.pulse import Teller
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
from server.web.server import LimitedServer, make_http_server

CHANNELS = ("node_events", "task_events", "task_wakeups", "token_events")
REFUSED_EXIT = 2  # what ends with this, supervisord does not restart
FAST_STOP_SECONDS = 2.0
HTTP_DRAIN_SECONDS_MAX = 5.0

log = structlog.get_logger(__name__)


class Node:
    """One running instance of the server."""

    def __init__(self, settings: Settings, number: int) -> None:
        self.settings = settings
        self.number = number
        self.name = f"node-{number}"
        url = application_url(settings)
        self._url = url
        self._database = Database(
            url, connections=settings.database.connections, name=f"ringfence {self.name}"
        )
        # A connection apart, so that a crowd of withdrawals keeps no run from being started or ended.
        self._poster = Poster(url, f"ringfence {self.name} money", settings.money.deadline_seconds)
        self._batcher = Batcher(self._poster)
        self._catalogue = Catalogue.from_settings(settings)
        refuse_plain_functions(self._catalogue, settings.source)
        self._membership = Membership(settings, url, self.name, self._database, self._members_changed)
        self._membership.siblings = process.siblings(settings)
        self._manager = ServiceManager.from_environment(os.environ)
        self._scheduler = Scheduler(settings, self._database, self._catalogue, self._membership)
        self._listener = Listener(
            listen_url(settings),
            f"ringfence {self.name}",
            CHANNELS,
            Hearer(self._notified, self._listening, self._scheduler.sign),
        )
        self._feed = Feed(self._database)
        self._lag = LoopLag()
        self._keyring = Keyring(
            self._database, is_told=lambda: self._listener.is_listening, changed=self._feed.look_up
        )
        self._tenure: Tenure | None = None
        self._runner: Runner | None = None
        self._tenure_lost = asyncio.Event()
        self._stop_asked = asyncio.Event()
        self._hurry = asyncio.Event()
        self._is_prepared = False
        self._guardian_task: asyncio.Task[None] | None = None
        self._failure: RingfenceError | None = None

    async def run(self) -> int:
        """Serves until a signal ends it; returns the process's exit code."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._on_sigterm)
        loop.add_signal_handler(signal.SIGINT, self._on_sigint)
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
        await self._stop_asked.wait()
        await self._stop(http, cluster, serving)
        if isinstance(self._failure, NameInUseError | ConfigurationError):
            await asyncio.sleep(supervised.REFUSAL_SECONDS)
            return REFUSED_EXIT
        return 0 if self._failure is None else 1

    def _on_sigterm(self) -> None:
        if self._stop_asked.is_set():
            self._hurry.set()
        self._stop_asked.set()

    def _on_sigint(self) -> None:
        self._hurry.set()
        self._stop_asked.set()

    # Start

    def _serve_http(self) -> LimitedServer:
        listening = process.listening_sockets(self.settings, self.number)
        is_required = exposure.are_tokens_required(self.settings) or exposure.are_exposed(listening)
        self._gate = Gate(self._keyring, is_required=is_required)
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
                *collectors_of(self._membership, self._scheduler, self._listener, lambda: self._tenure),
                self._lag,
            ],
        )
        self._door = make_front_door(services)
        http = make_http_server(self._door)
        http.add_sockets(listening)
        addresses = [f"{host}:{port}" for host, port in (sock.getsockname()[:2] for sock in listening)]
        log.info("serving", node=self.name, pid=os.getpid(), addresses=addresses)
        return http

    def _not_ready_because(self) -> list[str]:
        if self._stop_asked.is_set():
            return ["this node is stopping"]
        return [] if self._is_prepared else ["the database's schema is not ready"]

    async def _take_part(self) -> None:
        """Prepares the schema, then lives one tenure after the other until the node stops."""
        services: list[asyncio.Task[None]] = []
        try:
            await asyncio.to_thread(prepare_schema, self.settings, self._stop_asked.is_set)
            if self._stop_asked.is_set():
                return
            await self._read_tokens()
            await self._define_tasks()
            self._is_prepared = True
            self._manager.ready(f"{self.name} serves")
            teller = Teller(self._database, self.name, self._batcher.tally)
            parts = (self._listener.run(), self._scheduler.run(), teller.run(), self._keyring.run())
            services = [self._for_good(part) for part in parts]
            while not self._stop_asked.is_set():
                await self._live_a_tenure()
        except RingfenceError as error:
            log.error("the node cannot go on", node=self.name, error=str(error))
            self._failure = error
            self._stop_asked.set()
        except Exception:
            log.exception("the node cannot go on", node=self.name)
            self._failure = RingfenceError("unexpected error")
            self._stop_asked.set()
        finally:
            for service in services:
                service.cancel()

    def _for_good(self, service: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Runs a part that never ends by itself: without it this node would look healthy and do nothing."""

        def ended(task: "asyncio.Task[None]") -> None:
            if not task.cancelled():
                log.error("the node cannot go on", node=self.name, exc_info=task.exception())
                self._failure = RingfenceError("unexpected error")
                self._stop_asked.set()

        task = asyncio.create_task(service)
        task.add_done_callback(ended)
        return task

    async def _read_tokens(self) -> None:
        """Returns when they are known. Raises ConfigurationError if one is needed and there is none."""
        while not self._stop_asked.is_set():
            try:
                if self._gate.is_required and await self._keyring.is_empty():
                    raise ConfigurationError(exposure.why_refused(self.settings))
                await self._keyring.read()
            except DatabaseUnavailableError as error:
                log.debug("the tokens wait for the database", error=str(error))
            else:
                return

    async def _define_tasks(self) -> None:
        while not self._stop_asked.is_set():
            try:
                await self._scheduler.define_tasks()
            except DatabaseUnavailableError as error:
                log.debug("the tasks wait for the database", error=str(error))
            else:
                return

    async def _live_a_tenure(self) -> None:
        """Joins, runs tasks until the lease is lost or the node stops, and ends what is left."""
        self._tenure_lost.clear()
        events = TenureEvents(
            beaten=self._beaten,
            at_risk=lambda: self._runner.stop_all("interrupted") if self._runner else None,
            lost=self._tenure_lost.set,
            told_by_guardian=lambda message: self._runner.told_by_guardian(message) if self._runner else None,
            guardian_gone=self._guardian_gone,
        )
        address = f"{self.settings.http.scheme}://{self.settings.http.own_name}:{self.settings.node_port(self.number)}"
        join = self._membership.join(events, self._catalogue.names, address, os.getpid())
        tenure = await self._unless_stopped(join)
        if tenure is None:
            return
        self._tenure = tenure
        self._runner = runner = Runner(
            self.settings, self._url, self._database, tenure, self._scheduler.figures
        )
        tenure.set_peers(self._membership.peers)
        self._membership.refresh_soon()
        self._scheduler.begin(runner)
        await self._unless_stopped(self._tenure_lost.wait())
        if self._stop_asked.is_set():
            await self._drain(tenure, runner)
        else:
            runner.stop_all("lost")
        await runner.all_ended()
        runner.end()
        if not tenure.is_over:
            await self._leave(tenure)
        self._tenure = self._runner = None
        await tenure.end()

    async def _unless_stopped(self, work: Awaitable[Any]) -> Any:
        """What the work returns; None if the node is asked to stop before."""
        task = asyncio.ensure_future(work)
        stop = asyncio.create_task(self._stop_asked.wait())
        try:
            await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            task.cancel()
            await asyncio.wait({task})
            return None
        finally:
            stop.cancel()

    # While it runs

    def _members_changed(self) -> None:
        if self._tenure is not None:
            self._tenure.set_peers(self._membership.peers)
        self._scheduler.wake()

    async def _listening(self) -> None:
        """Reads again what may have been told while nobody listened."""
        self._keyring.wake()
        await self._membership.refresh()

    def _notified(self, channel: str, payload: str) -> None:
        if channel == "token_events":
            self._keyring.wake()
            return
        self._feed.wake()
        if channel == "node_events":
            self._membership.refresh_soon()
        elif channel == "task_events":
            self._scheduler.heard(payload)
        else:
            self._scheduler.wake()

    def _beaten(self, beat: Any) -> None:
        self._membership.heard(beat)
        if self._runner is not None:
            self._runner.beaten(beat)
        if self._tenure is not None and self._tenure.guardian_is_frozen():
            log.error("the guardian does not answer; it is replaced", node=self.name)
            self._guardian_gone()

    def _guardian_gone(self) -> None:
        if self._guardian_task is None or self._guardian_task.done():
            self._guardian_task = asyncio.create_task(self._replace_guardian())

    async def _replace_guardian(self) -> None:
        """All jobs die with their guardian; when that is certain, another one takes its place."""
        if self._tenure is not None and self._runner is not None:
            await self._tenure.replace_guardian()
            self._runner.abandon_all("its guardian died, and with it every process of the run")

    # Stop

    async def _drain(self, tenure: Tenure, runner: Runner) -> None:
        """No new runs; those that run may finish within drain_seconds, unless it is urgent."""
        self._scheduler.drain()
        log.info("draining", node=self.name, runs=sorted(runner.held), fast=self._hurry.is_set())
        try:
            await self._membership.drain(tenure)
        except DatabaseUnavailableError as error:
            log.warning("draining could not be told", error=str(error))
        ended = asyncio.create_task(runner.all_ended())
        hurry = asyncio.create_task(self._hurry.wait())
        await asyncio.wait(
            {ended, hurry}, timeout=self.settings.cluster.drain_seconds, return_when=asyncio.FIRST_COMPLETED
        )
        runner.stop_all("interrupted")
        await asyncio.wait({ended}, timeout=FAST_STOP_SECONDS + self.settings.cluster.drain_seconds / 4)
        ended.cancel()
        hurry.cancel()

    async def _leave(self, tenure: Tenure) -> None:
        try:
            await self._membership.leave(tenure)
        except DatabaseUnavailableError as error:
            log.warning("leaving could not be told; the lease will pass", error=str(error))

    async def _stop(
        self, http: HTTPServer, cluster: "asyncio.Task[None]", serving: "set[asyncio.Task[None]]"
    ) -> None:
        log.info("stopping", node=self.name, fast=self._hurry.is_set())
        self._manager.stopping(supervised.stop_seconds(self.settings))
        http.stop()
        # Connections that are open are served on, and each told to close.
        http.conn_params.no_keep_alive = True
        self._feed.close()
        await cluster
        in_hurry = self._hurry.is_set()
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
