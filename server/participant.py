"""A node's part in the cluster: one tenure after the other, and the runs under each.

Begin   tasks defined -> joined -> the scheduler may start runs
End     the lease is lost: every run is stopped, and another tenure begins
        the node shall stop: draining (no new runs, heartbeats go on) -> last run ended
        or interrupted -> left the table
"""

import asyncio
import os
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any

import structlog

from server import process
from server.cluster.heartbeat import Beat
from server.cluster.membership import Membership
from server.cluster.tenure import Tenure, TenureEvents
from server.cron import scratch
from server.cron.catalogue import Catalogue
from server.cron.functions import find_modules
from server.cron.loop_jobs import refuse_plain_functions
from server.cron.runner import Runner
from server.cron.scheduler import Scheduler
from server.errors import DatabaseUnavailableError
from server.postgres.connections import Database
from server.settings import Settings

FAST_STOP_SECONDS = 2.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class StopRequest:
    """What was asked of a node: to stop, and whether that is urgent."""

    asked: asyncio.Event = field(default_factory=asyncio.Event)
    urgent: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_made(self) -> bool:
        """Whether the node shall stop."""
        return self.asked.is_set()

    def make(self) -> None:
        """Stop. Whoever asks twice is in a hurry."""
        if self.asked.is_set():
            self.urgent.set()
        self.asked.set()

    def make_urgent(self) -> None:
        """Stop fast."""
        self.urgent.set()
        self.asked.set()


class Participant:
    """This node as a member that runs tasks, until it shall stop."""

    def __init__(
        self, settings: Settings, number: int, url: str, database: Database, stop: StopRequest
    ) -> None:
        self._settings = settings
        self._url = url
        self._database = database
        self._stop = stop
        self._catalogue = Catalogue.from_settings(settings)
        find_modules(str(settings.home))
        refuse_plain_functions(self._catalogue, settings.source)
        self.name = f"node-{number}"
        self._address = f"{settings.http.scheme}://{settings.http.own_name}:{settings.node_port(number)}"
        self.membership = Membership(settings, url, self.name, database, self._members_changed)
        self.membership.siblings = process.siblings(settings)
        self.scheduler = Scheduler(settings, database, self._catalogue, self.membership)
        self.tenure: Tenure | None = None
        self._runner: Runner | None = None
        self._lost = asyncio.Event()
        self._guardian_task: asyncio.Task[None] | None = None

    async def define_tasks(self) -> None:
        """Returns when the table of tasks has this node's configuration, or the node shall stop."""
        while not self._stop.is_made:
            try:
                await self.scheduler.definitions.write()
            except DatabaseUnavailableError as error:
                log.debug("the tasks wait for the database", error=str(error))
            else:
                return

    async def take_part(self) -> None:
        """Lives one tenure after the other until the node shall stop. Raises NameInUseError."""
        while not self._stop.is_made:
            await self._live_a_tenure()

    async def _live_a_tenure(self) -> None:
        """Joins, runs tasks until the lease is lost or the node stops, and ends what is left."""
        self._lost.clear()
        events = TenureEvents(
            beaten=self._beaten,
            at_risk=lambda: self._runner.stop_all("interrupted") if self._runner else None,
            lost=self._lost.set,
            told_by_guardian=lambda message: self._runner.told_by_guardian(message) if self._runner else None,
            guardian_gone=self._guardian_gone,
        )
        join = self.membership.join(events, self._catalogue.names, self._address, os.getpid())
        tenure = await self._unless_stopped(join)
        if tenure is None:
            return
        self.tenure = tenure
        self._runner = runner = Runner(
            self._settings, self._url, self._database, tenure, self.scheduler.figures
        )
        tenure.set_peers(self.membership.peers)
        self.membership.refresh_soon()
        await asyncio.to_thread(scratch.clear, self._settings.var_folder, self.name)
        self.scheduler.begin(runner)
        await self._unless_stopped(self._lost.wait())
        if self._stop.is_made:
            await self._drain(tenure, runner)
        else:
            runner.stop_all("lost")
            await runner.all_ended()
        runner.end()
        if not tenure.is_over:
            await self._leave(tenure)
        self.tenure = self._runner = None
        await tenure.end()

    async def _unless_stopped(self, work: Awaitable[Any]) -> Any:
        """What the work returns; None if the node is asked to stop before."""
        task = asyncio.ensure_future(work)
        stop = asyncio.create_task(self._stop.asked.wait())
        try:
            await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            task.cancel()
            await asyncio.wait({task})
            return None
        finally:
            stop.cancel()

    # While a tenure lasts

    def _members_changed(self) -> None:
        if self.tenure is not None:
            self.tenure.set_peers(self.membership.peers)
        self.scheduler.wake()

    def _beaten(self, beat: Beat) -> None:
        self.membership.heard(beat)
        if self._runner is not None:
            self._runner.beaten(beat)
        if self.tenure is not None and self.tenure.guardian_is_frozen():
            log.error("the guardian does not answer; it is replaced", node=self.name)
            self._guardian_gone()

    def _guardian_gone(self) -> None:
        if self._guardian_task is None or self._guardian_task.done():
            self._guardian_task = asyncio.create_task(self._replace_guardian())

    async def _replace_guardian(self) -> None:
        """All jobs die with their guardian; when that is certain, another one takes its place."""
        # Those of the tenure whose guardian it was: the next one may begin meanwhile.
        tenure, runner = self.tenure, self._runner
        if tenure is None or runner is None:
            return
        try:
            await tenure.replace_guardian()
        except OSError as error:
            # No run starts without one, and whoever tries to start one leads here again.
            log.error("no new guardian can be started", node=self.name, error=str(error))
        runner.abandon_all("its guardian died, and with it every process of the run")

    # The end of the last one

    async def _drain(self, tenure: Tenure, runner: Runner) -> None:
        """No new runs; those that run may finish within drain_seconds, unless it is urgent."""
        self.scheduler.drain()
        log.info("draining", node=self.name, runs=sorted(runner.held), fast=self._stop.urgent.is_set())
        try:
            await self.membership.drain(tenure)
        except DatabaseUnavailableError as error:
            log.warning("draining could not be told", error=str(error))
        ended = asyncio.create_task(runner.all_ended())
        urgent = asyncio.create_task(self._stop.urgent.wait())
        await asyncio.wait(
            {ended, urgent}, timeout=self._settings.cluster.drain_seconds, return_when=asyncio.FIRST_COMPLETED
        )
        runner.stop_all("interrupted")
        # Many runs at once take a while to be told; without a database none is, however long it takes.
        is_away = self._database.pulse.outage_seconds > 0
        more_seconds = 0.0 if is_away else self._settings.cluster.drain_seconds / 4
        await asyncio.wait({ended}, timeout=FAST_STOP_SECONDS + more_seconds)
        if not ended.done():
            # Without a database, say. Nothing of them is left here, and the table gives them away
            # as a dead node's runs: when this node leaves, or when its lease has passed.
            log.warning("endings could not be told", node=self.name, runs=sorted(runner.held))
        ended.cancel()
        urgent.cancel()

    async def _leave(self, tenure: Tenure) -> None:
        try:
            await self.membership.leave(tenure)
        except DatabaseUnavailableError as error:
            log.warning("leaving could not be told; the lease will pass", error=str(error))
