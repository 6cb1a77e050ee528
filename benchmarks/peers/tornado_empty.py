"""Tornado with a handler that does nothing: what the web server itself allows.

No validation, no database, no access log; a fixed answer of the size of a
withdrawal's. Whatever answers each withdrawal in a RequestHandler of its own
is slower than this.
"""

import asyncio
import socket

import uvloop
from tornado.httpserver import HTTPServer
from tornado.web import Application, RequestHandler

ANSWER = b'{"userId":1,"amount":2,"balance":9998,"entryId":2}'


class EmptyHandler(RequestHandler):
    """POST /withdraw: the fixed answer."""

    def post(self) -> None:
        self.set_header("Content-Type", "application/json")
        self.finish(ANSWER)


async def serve() -> None:
    """Serves the listening socket that the benchmark hands over as descriptor 0."""
    application = Application([("/withdraw", EmptyHandler)], log_function=lambda handler: None)
    HTTPServer(application).add_socket(socket.socket(fileno=0))
    await asyncio.Event().wait()


# The loop that Ringfence runs on, so that it makes no difference.
with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
    runner.run(serve())
