"""Tornado and one withdraw() for each request: Ringfence's own function, called the plain way.

The same tables, rules and ledger as Ringfence, through psycopg's pool at its
default size. What it leaves out: batches, deadlines, request ids of clients,
careful errors. So the difference to Ringfence is what those cost and bring.
"""

import asyncio
import json
import socket

import uvloop
from psycopg.errors import CheckViolation
from psycopg_pool import AsyncConnectionPool
from tornado.httpserver import HTTPServer
from tornado.web import Application, RequestHandler

WITHDRAW = "select moved.balance, moved.entry_id from withdraw(%s, %s) as moved"
WAITING_SECONDS_MAX = 120.0


class WithdrawHandler(RequestHandler):
    """POST /withdraw: 200, or 409 where the constraint refuses."""

    def initialize(self, pool: AsyncConnectionPool) -> None:
        self.pool = pool

    async def post(self) -> None:
        body = json.loads(self.request.body)
        user_id, amount = int(body["userId"]), int(body["amount"])
        self.set_header("Content-Type", "application/json")
        try:
            async with self.pool.connection() as connection:
                row = await (await connection.execute(WITHDRAW, [user_id, amount])).fetchone()
        except CheckViolation:
            self.set_status(409)
            self.finish('{"code":"insufficient_funds"}')
            return
        assert row is not None, "withdraw() returns one row"
        balance, entry_id = row
        self.finish({"userId": user_id, "amount": amount, "balance": balance, "entryId": entry_id})


async def serve() -> None:
    """Serves the listening socket that the benchmark hands over as descriptor 0."""
    # Where the database is stands in the PG… variables.
    async with AsyncConnectionPool("", kwargs={"autocommit": True}, timeout=WAITING_SECONDS_MAX) as pool:
        routes = [("/withdraw", WithdrawHandler, {"pool": pool})]
        application = Application(routes, log_function=lambda handler: None)
        HTTPServer(application).add_socket(socket.socket(fileno=0))
        await asyncio.Event().wait()


# The loop that Ringfence runs on, so that it makes no difference.
with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
    runner.run(serve())
