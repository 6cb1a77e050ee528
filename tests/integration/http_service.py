"""The real application on a real port, in this process, over a test's own database."""

import asyncio
import json
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contract_check import check_answer
from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.httputil import HTTPHeaders
from tornado.netutil import bind_sockets

from server.access.keyring import Keyring
from server.access.refused import RefusalRecord
from server.cluster.lease import boot_time
from server.money.bank import Bank
from server.money.batcher import Batcher
from server.money.poster import Poster
from server.postgres.connections import Database
from server.settings import Http, Settings, TaskSettings
from server.web.application import Services, make_front_door
from server.web.feed import Feed
from server.web.gate import Gate
from server.web.handlers import JsonHandler
from server.web.server import make_http_server

JSON = {"Content-Type": "application/json"}
CLIENTS_MAX = 250
DEADLINE_SECONDS = 5.0


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: HTTPHeaders
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def is_problem(self, status: int, code: str) -> bool:
        """Whether this is the problem document of that code, in every member that all of them have."""
        found = self.json
        return (
            self.status == found["status"] == status
            and found["code"] == code
            and found["type"].endswith(f":{code}")
            and self.headers["Content-Type"] == "application/problem+json"
            and bool(found["title"])
            and bool(found["detail"])
        )


class Service:
    """Starts and stops with the test's loop; nodes are many applications over one database.

    With tokens it needs them; it reads them when a test says keyring.read().
    """

    def __init__(
        self,
        database,
        home: Path,
        *,
        name: str = "node-1",
        deadline_seconds: float = DEADLINE_SECONDS,
        tokens: bool = False,
        http: Http | None = None,
    ):
        self.reasons: list[str] = []
        self.is_bare = False  # true: served by the handlers alone, without the lean path before them
        self.settings = Settings(
            home=home,
            source="test",
            http=http or Http(allowed_hosts=("*",)),
            tasks={"backup": TaskSettings(function="server.jobs.pi:run", every=60.0)},
        )
        self.database = Database(database.application_url, connections=2, name=name)
        self.poster = Poster(database.application_url, name, deadline_seconds)
        self.batcher = Batcher(self.poster)
        self.bank = Bank(self.database, self.batcher, deadline_seconds)
        self.feed = Feed(self.database)
        self.keyring = Keyring(self.database, changed=self.feed.look_up)
        self.refusals = RefusalRecord(self.database, name, boot_time)
        services = Services(
            settings=self.settings,
            node_name=name,
            database=self.database,
            bank=self.bank,
            batcher=self.batcher,
            feed=self.feed,
            gate=Gate(self.keyring, is_required=tokens, refused=self.refusals.note),
            readiness=lambda: list(self.reasons),
        )
        self.door = make_front_door(services)

    async def start(self) -> None:
        self.batches = asyncio.create_task(self.batcher.run())
        self.following = asyncio.create_task(self.feed.run())
        self.recording = asyncio.create_task(self.refusals.run())
        self.server = make_http_server(self.door)
        if self.is_bare:
            self.server.request_callback = self.door.application
        sockets = bind_sockets(0, "127.0.0.1", family=socket.AF_INET, backlog=1024)
        self.port = sockets[0].getsockname()[1]
        self.server.add_sockets(sockets)
        self.client = AsyncHTTPClient(force_instance=True, max_clients=CLIENTS_MAX)
        await self.database.open()

    async def stop(self) -> None:
        self.client.close()
        self.server.stop()
        await self.server.close_all_connections()
        parts = {self.batches, self.following, self.recording}
        for part in parts:
            part.cancel()
        await asyncio.wait(parts)
        await self.poster.reset()
        await self.database.close()

    async def call(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """One request. body: bytes as they are, anything else as JSON with its content type."""
        sent = dict(headers or {})
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            sent = JSON | sent
        request = HTTPRequest(
            f"http://127.0.0.1:{self.port}{path}",
            method=method,
            headers=sent,
            body=body,
            allow_nonstandard_methods=True,
            follow_redirects=False,
            decompress_response=False,
            request_timeout=30,
        )
        answer = await self.client.fetch(request, raise_error=False)
        if answer.code == 599:
            raise AssertionError(f"{method} {path}: no answer: {answer.error}")
        found = Answer(answer.code, answer.headers, answer.body)
        check_answer(method, path, found.status, found.headers.get("Content-Type"), found.body)
        return found

    async def get(self, path: str) -> Any:
        """The JSON that a path answers with 200."""
        answer = await self.call("GET", path)
        assert answer.status == 200, answer.body
        return answer.json

    def handlers(self) -> dict[str, type[JsonHandler]]:
        """The handler of each route, by its path, as the application serves them."""
        application = make_front_door(self.door.services).application
        rules = application.default_router.rules[0].target.rules
        return {rule.target_kwargs["route"]: rule.target for rule in rules}

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to write bytes on, for requests that no client sends."""
        return await asyncio.open_connection("127.0.0.1", self.port)


async def read_answer(reader: asyncio.StreamReader) -> Answer:
    """One answer from a raw connection, which stays open."""
    head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)).decode("latin1")
    start, _, rest = head.partition("\r\n")
    headers = HTTPHeaders.parse(rest.rstrip("\r\n") + "\r\n")
    length = int(headers.get("Content-Length", "0"))
    body = await asyncio.wait_for(reader.readexactly(length), 20)
    return Answer(int(start.split()[1]), headers, body)


async def insist(ask: Callable[[], Awaitable[Answer]]) -> Answer:
    """The first answer that is no 503, of a client that repeats as it is told."""
    async with asyncio.timeout(20):
        while (answer := await ask()).status == 503:
            await asyncio.sleep(0.01)
    return answer


async def is_untouched(service) -> bool:
    """Whether account 1 is as the migration left it, with its opening entry alone."""
    page = await service.get("/users/1/entries")
    return (await service.get("/users/1"))["balance"] == 10_000 and len(page["entries"]) == 1


async def open_account(service, balance: int) -> int:
    return (await service.call("POST", "/users", {"balance": balance})).json["id"]


async def until_somebody_waits_for_a_lock(database, others: int = 1) -> None:
    """Returns when that many sessions of this database wait for a lock."""
    query = """
        select count(*) from pg_stat_activity
        where wait_event_type = 'Lock' and datname = current_database()
    """
    # As the application's role: others may not see what its sessions wait for.
    with database.connect() as watcher:
        while watcher.execute(query).fetchone()[0] < others:
            await asyncio.sleep(0.01)


@contextmanager
def frozen_backend(service: Service) -> Iterator[None]:
    """The server process behind the money path's connection stands still meanwhile."""
    pid = service.poster._connection.info.backend_pid
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def until(happened: Callable[[], object]) -> None:
    """Returns when something of this process has come true."""
    async with asyncio.timeout(20):
        while not happened():
            await asyncio.sleep(0.01)
