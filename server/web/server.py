"""The HTTP server with limits of its own: Tornado's defaults wait an hour and buffer 100 MB."""

from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPServerConnectionDelegate

IDLE_SECONDS_MAX = 60.0
"""How long a connection may be silent between requests, and a head may take to arrive."""
BODY_SECONDS_MAX = 20.0
"""How long a body may take to arrive."""
HEAD_BYTES_MAX = 64 * 1024
BUFFER_BYTES_MAX = 1024 * 1024
"""What is held of one connection before it is read."""


def make_http_server(application: HTTPServerConnectionDelegate) -> HTTPServer:
    """A server without sockets; the caller adds them and owns its start and stop.

    The size of bodies is the handlers' to limit (handlers.py), with an answer
    that says so; BUFFER_BYTES_MAX is the net below, for whoever forgets it.
    """
    return HTTPServer(
        application,
        idle_connection_timeout=IDLE_SECONDS_MAX,
        body_timeout=BODY_SECONDS_MAX,
        max_header_size=HEAD_BYTES_MAX,
        max_body_size=BUFFER_BYTES_MAX,
        max_buffer_size=BUFFER_BYTES_MAX,
        decompress_request=False,
        xheaders=False,
    )
