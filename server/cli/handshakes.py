"""The TLS of a crowd: handshakes that go on step by step, as their bytes come."""

import select
import socket
import ssl
from dataclasses import dataclass


@dataclass(frozen=True)
class Tls:
    """What a handshake needs. name: whose certificate the service must show."""

    context: ssl.SSLContext
    name: str

    def begin(self, stream: socket.socket) -> ssl.SSLSocket:
        """Takes over a connected socket, with its descriptor; nothing is sent yet."""
        return self.context.wrap_socket(stream, server_hostname=self.name, do_handshake_on_connect=False)


def go_on(stream: ssl.SSLSocket) -> int | None:
    """As far as the handshake gets now: the event that it waits for, or None once it is done.

    Raises OSError, of which ssl.SSLError is one.
    """
    try:
        stream.do_handshake()
    except ssl.SSLWantReadError:
        return select.EPOLLIN
    except ssl.SSLWantWriteError:
        return select.EPOLLOUT
    return None


def has_closed(stream: socket.socket) -> bool:
    """Whether a service that says something before it was asked has closed the connection.

    By TLS 1.3 it sends tickets for later sessions after the handshake, which mean nothing here.
    """
    if not isinstance(stream, ssl.SSLSocket):
        return True
    try:
        stream.recv(1)
    except ssl.SSLWantReadError:
        return False
    except OSError:
        pass  # broken, which is closed
    return True


def received(stream: socket.socket, bytes_max: int) -> bytes | None:
    """What has come, b"" at the end; None if nothing has. Raises OSError."""
    try:
        data = stream.recv(bytes_max)
        while data and isinstance(stream, ssl.SSLSocket) and stream.pending():
            # It lies decrypted in memory, where no event of the socket tells of it.
            data += stream.recv(bytes_max)
    except (BlockingIOError, ssl.SSLWantReadError):
        return None
    return data
