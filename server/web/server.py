"""The HTTP server with limits of its own: Tornado's defaults wait an hour and buffer 100 MB."""

import asyncio
import resource
from time import monotonic
from typing import Any

import structlog
from tornado.httpserver import HTTPServer
from tornado.iostream import IOStream, SSLIOStream

from server.errors import OverloadedError
from server.web import replies
from server.web.lean import FrontDoor
from server.web.limits import BUFFER_BYTES_MAX, HEAD_BYTES_READ_MAX
from server.web.tls import LOOK_SECONDS, Certificate, certificate_of

SPARE_FILES = 512
"""Descriptors that connections leave to the database, jobs and files."""
TOLD_SECONDS = 10.0
"""How often the log says that there is no room."""
log = structlog.get_logger(__name__)


class LimitedServer(HTTPServer):
    """Serves so many connections and no more; see patience.py for who makes room."""

    door: FrontDoor
    connections_max: int
    certificate: Certificate | None
    _told_at = float("-inf")

    async def follow_certificate(self) -> None:
        """Shows new handshakes what the certificate's files hold, until it is cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if self.certificate is not None and self.certificate.refresh():
                self.ssl_options = self.certificate.context

    def handle_stream(self, stream: IOStream, address: tuple[Any, ...]) -> None:
        if len(self._connections) >= self.connections_max and not self.door.patience.make_room():
            self.door.patience.closed["refused"] += 1
            self._tell_of_refusals()
            refuse(stream, len(self._connections))
            return
        super().handle_stream(stream, address)

    def on_close(self, server_conn: object) -> None:
        super().on_close(server_conn)
        self.door.on_close(server_conn)

    def _tell_of_refusals(self) -> None:
        """Seldom: where there is no room, thousands may be refused, each of which would be a line."""
        now = monotonic()
        if now - self._told_at >= TOLD_SECONDS:
            self._told_at = now
            refused = self.door.patience.closed["refused"]
            log.warning("connections are refused: all others have a request under way", so_far=refused)


def refuse(stream: IOStream, connections: int) -> None:
    """Says that there is no room, to who can hear it without a handshake, and closes."""
    if not isinstance(stream, SSLIOStream):
        reply = replies.of_error(OverloadedError(connections, "connections are served"))
        lines = {**reply.headers, "Content-Type": reply.content_type, "Connection": "close"}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        start = f"HTTP/1.1 503 Service Unavailable\r\n{head}Content-Length: {len(reply.body)}\r\n\r\n"
        stream.write(start.encode() + reply.body)
    stream.close()


def connections_max(wanted: int) -> int:
    """How many connections may be open: as many as wanted, but fewer than files may be."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if files == resource.RLIM_INFINITY:
        return wanted
    return max(1, min(wanted, files - SPARE_FILES))


def make_http_server(door: FrontDoor) -> LimitedServer:
    """A server without sockets; the caller adds them and owns its start and stop.

    The size of bodies is the handlers' to limit (handlers.py), with an answer
    that says so; BUFFER_BYTES_MAX is the net below, for whoever forgets it. How long
    heads and bodies may take is the door's. Raises ConfigurationError for a certificate
    that can't be used.
    """
    certificate = certificate_of(door.services.settings)
    server = LimitedServer(
        door,
        max_header_size=HEAD_BYTES_READ_MAX,
        max_body_size=BUFFER_BYTES_MAX,
        max_buffer_size=BUFFER_BYTES_MAX,
        decompress_request=False,
        xheaders=False,
        ssl_options=None if certificate is None else certificate.context,
    )
    server.certificate = certificate
    server.door = door
    server.connections_max = connections_max(door.services.settings.http.connections_max)
    door.patience.connections = server._connections
    # Only here can it be switched off: the constructor reads None as an hour.
    server.conn_params.header_timeout = None
    return server
