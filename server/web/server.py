"""The HTTP server with limits of its own: Tornado's defaults wait an hour and buffer 100 MB."""

from tornado.httpserver import HTTPServer

from server.web.lean import FrontDoor
from server.web.limits import BUFFER_BYTES_MAX, HEAD_BYTES_READ_MAX


def make_http_server(door: FrontDoor) -> HTTPServer:
    """A server without sockets; the caller adds them and owns its start and stop.

    The size of bodies is the handlers' to limit (handlers.py), with an answer
    that says so; BUFFER_BYTES_MAX is the net below, for whoever forgets it. How long
    heads and bodies may take is the door's.
    """
    server = HTTPServer(
        door,
        max_header_size=HEAD_BYTES_READ_MAX,
        max_body_size=BUFFER_BYTES_MAX,
        max_buffer_size=BUFFER_BYTES_MAX,
        decompress_request=False,
        xheaders=False,
    )
    # Only here can it be switched off: the constructor reads None as an hour.
    server.conn_params.header_timeout = None
    return server
