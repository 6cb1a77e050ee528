"""A node without its processes: all that it says to PostgreSQL about the cluster, and nothing else.

It registers, beats, listens, reads members and tasks when a node would, hashes, starts
the tasks that are its own and ends them a moment later; by the statements, the functions
and the rules (Waker, is_urgent) of the product. It has no HTTP, no guardian and no job. Its
hash is computed once in a process for all of its light nodes, since a real node has a
processor of its own for that.

Three connections: heartbeats, LISTEN, and one for all the rest. A real node's fourth is
that of money, which says nothing here.
"""

import asyncio
import json
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from time import monotonic, perf_counter
from typing import Any

from psycopg import sql

from server.cluster.heartbeat import STATEMENTS as CLUSTER
from server.cluster.membership import GATHER_SECONDS
from server.cluster.ring import assign
from server.cron.hearing import is_urgent
from server.cron.recorder import STATEMENTS as CRON
from server.cron.scheduler import VIEW_SECONDS_MAX
from server.node import CHANNELS
from server.postgres.profile import Profile
from server.postgres.sessions import TimedAsyncConnection
from server.postgres.statements import load
from server.waking import Waker

HEARTBEAT_SECONDS = 1.0
RUN_SECONDS = 0.2
TTL_SECONDS = 15.0
PROBE_SECONDS = 5.0
LISTENING = load("server.postgres", "schema.sql")["listening_channels"]
CALL_SECONDS_MAX = 60.0


@dataclass(frozen=True)
class Setting:
    """What all light nodes of one process share. eager: every notification reads the tasks, as it was once.

    owners: what was hashed, by who was able.
    """

    url: str
    tasks: tuple[str, ...]
    period_seconds: float
    eager: bool = False
    owners: dict[tuple[str, ...], dict[str, str]] = field(default_factory=dict)


@dataclass
class Seen:
    """What one process saw, of all its light nodes. Seconds.

    known_at: of each version of the membership, when the last of them knew it (CLOCK_MONOTONIC),
    and how many did.
    """

    heartbeats: list[float] = field(default_factory=list)
    deliveries: list[float] = field(default_factory=list)
    known_at: dict[int, tuple[float, int]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def count(self, what: str) -> None:
        """One more of it."""
        self.counts[what] = self.counts.get(what, 0) + 1

    def forget(self) -> None:
        """What follows is to be counted alone."""
        self.heartbeats.clear()
        self.deliveries.clear()
        self.counts.clear()


class LightNode:
    """One of many in a process."""

    def __init__(self, name: str, setting: Setting, seen: Seen) -> None:
        self.name = name
        self.version = -1
        self._setting = setting
        self._seen = seen
        self._able: tuple[str, ...] = ()
        self._own: frozenset[str] = frozenset()
        self._waker = Waker()
        self._stale = True
        self._refresh = asyncio.Event()
        self._parts: list[asyncio.Task[None]] = []
        self._runs: set[asyncio.Task[None]] = set()
        self._rest = asyncio.Lock()

    async def join(self) -> None:
        """Connects, registers, and goes on by itself."""
        self._beats, self._ears, self._mouth = [
            await self._connect(part) for part in ("heartbeat", "listener", "rest")
        ]
        registration = {
            "name": self.name, "host": "light", "pid": 1, "url": "http://127.0.0.1:8000", "version": "0",
            "tasks": list(self._setting.tasks), "ttl_seconds": TTL_SECONDS, "boot_id": "none",
            "lock_path": f"/nowhere/{self.name}", "lock_device": 1, "lock_inode": 1,
        }  # fmt: skip
        (row,) = await self._ask(CLUSTER["register"], registration)
        assert row.incarnation is not None, f"{self.name} is held: {row}"
        self._me = {"name": self.name, "incarnation": row.incarnation}
        for channel in CHANNELS:
            await self._ears.execute(sql.SQL("listen {}").format(sql.Identifier(channel)))
        self._refresh.set()
        parts: list[Callable[[], Any]] = [self._beat, self._listen, self._keep_members, self._schedule]
        self._parts = [asyncio.create_task(part()) for part in parts]
        for part in self._parts:
            part.add_done_callback(self._ended)

    def _ended(self, part: "asyncio.Task[None]") -> None:
        """Says at once what ended a part before its time: without it the figures would be of fewer nodes."""
        if not part.cancelled():
            print(f"{self.name}: {part.exception()!r}", file=sys.stderr, flush=True)

    async def leave(self) -> None:
        """Ends everything. Raises what ended a part before its time."""
        for part in (*self._parts, *self._runs):
            part.cancel()
        ended = await asyncio.gather(*self._parts, *self._runs, return_exceptions=True)
        for connection in (self._beats, self._ears, self._mouth):
            await connection.close()
        for end in ended:
            if isinstance(end, Exception):
                raise end

    async def _connect(self, part: str) -> TimedAsyncConnection:
        settings = {"synchronous_commit": "off"} if part == "heartbeat" else {}
        profile = Profile(
            self._setting.url, f"{self.name} {part}", call_seconds_max=CALL_SECONDS_MAX, settings=settings
        )
        return await TimedAsyncConnection.open(profile)

    async def _ask(self, statement: str, params: dict[str, Any] | None = None) -> list[Any]:
        async with self._rest:
            cursor = await self._mouth.execute(statement, params)
            return await cursor.fetchall()

    # What a node's parts do

    async def _beat(self) -> None:
        await asyncio.sleep(random.uniform(0, HEARTBEAT_SECONDS))
        while True:
            began = perf_counter()
            cursor = await self._beats.execute(CLUSTER["heartbeat"], self._me)
            row = await cursor.fetchone()
            seconds = perf_counter() - began
            self._seen.heartbeats.append(seconds)
            if not row.renewed:
                raise RuntimeError(f"the lease of {self.name} was not renewed")
            if row.membership != self.version:
                self._refresh.set()
            await asyncio.sleep(max(0.0, HEARTBEAT_SECONDS - seconds))

    async def _listen(self) -> None:
        while True:
            async for notification in self._ears.notifies(timeout=PROBE_SECONDS):
                self._hear(notification.channel, notification.payload)
            await self._ears.execute(LISTENING)

    def _hear(self, channel: str, payload: str) -> None:
        told = json.loads(payload) if payload.startswith("{") else {}
        if "at" in told:
            # Taken before the commit, on the clock of this very machine.
            self._seen.deliveries.append(
                (datetime.now(UTC) - datetime.fromisoformat(told["at"])).total_seconds()
            )
        if channel == "node_events":
            self._refresh.set()
        elif channel == "task_wakeups" or self._setting.eager or is_urgent(payload, self._own):
            self._wake()

    async def _keep_members(self) -> None:
        while True:
            await self._refresh.wait()
            await asyncio.sleep(GATHER_SECONDS)
            self._refresh.clear()
            rows = await self._ask(CLUSTER["members"])
            self._seen.count("readings of the members")
            if rows[0].version != self.version:
                self.version = rows[0].version
                _, count = self._seen.known_at.get(self.version, (0.0, 0))
                self._seen.known_at[self.version] = (monotonic(), count + 1)
            able = tuple(row.name for row in rows if row.state == "live")
            if able != self._able:
                self._able = able
                self._own = frozenset(task for task, owner in self._owners().items() if owner == self.name)
                self._wake()

    def _owners(self) -> dict[str, str]:
        known = self._setting.owners
        if self._able not in known:
            tasks = frozenset(self._setting.tasks)
            known[self._able] = assign(self._setting.tasks, dict.fromkeys(self._able, tasks))
        return known[self._able]

    def _wake(self) -> None:
        self._stale = True
        self._waker.wake()

    async def _schedule(self) -> None:
        rows: list[Any] = []
        read_at = 0.0
        while True:
            if self._stale or monotonic() - read_at >= VIEW_SECONDS_MAX:
                self._stale = False
                rows, read_at = await self._ask(CRON["tasks_view"]), monotonic()
                self._seen.count("readings of the tasks")
            pause = VIEW_SECONDS_MAX
            for row in rows:
                if row.name in self._own and row.running_id is None:
                    due = (row.next_run_at - row.now).total_seconds() + read_at - monotonic()
                    if due <= 0:
                        await self._start(row)
                    pause = min(pause, max(0.0, due))
            await self._waker.rest(0.0 if self._stale else pause)

    async def _start(self, row: Any) -> None:
        self._stale = True
        params = {
            "task": row.name, "node": self.name, "incarnation": self._me["incarnation"],
            "expected_next": row.next_run_at,
            "new_next": row.next_run_at + timedelta(seconds=self._setting.period_seconds),
        }  # fmt: skip
        (answer,) = await self._ask(CRON["start_run"], params)
        self._seen.count("runs" if answer.run_id is not None else "refused starts")
        if answer.run_id is not None:
            run = asyncio.create_task(self._work(answer.run_id))
            self._runs.add(run)
            run.add_done_callback(self._runs.discard)

    async def _work(self, run_id: int) -> None:
        await asyncio.sleep(RUN_SECONDS)
        params = {
            "run_id": run_id, "incarnation": self._me["incarnation"], "status": "succeeded", "result": None,
            "output": None, "error": None, "retry_after_seconds": None,
        }  # fmt: skip
        await self._ask(CRON["finish_run"], params)
