"""A way to a PostgreSQL by TCP, which a test can silence, or make lose an answer."""

import contextlib
import socket
import threading
from types import TracebackType
from urllib.parse import quote, urlencode

from psycopg import conninfo

READY_FOR_QUERY = b"Z\x00\x00\x00\x05I"


class _Link:
    """One connection through the wire. startup: the client's first packet."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client = client
        self.server = server
        self.startup = b""
        self.loses_answer = False
        self.is_forgotten = False


def _end(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)  # wakes whoever reads from it; closing alone would not
    sock.close()


class Wire:
    """Passes on what clients of `url` and the server at the target say; to be used as a context manager."""

    def __init__(self, target: str) -> None:
        self._target = {key: str(value) for key, value in conninfo.conninfo_to_dict(target).items()}
        # Bound and not listening, it keeps the port while connections are refused.
        self._place = socket.socket()
        self._place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._place.bind(("127.0.0.1", 0))
        port = self._place.getsockname()[1]
        self.url = "postgresql:///?" + urlencode(
            # Without an encryption to be agreed on the startup packet comes first.
            self._target | {"host": "127.0.0.1", "port": port, "sslmode": "disable", "gssencmode": "disable"},
            quote_via=quote,
            safe="",
        )
        self.answers_lost = 0
        self._links: list[_Link] = []
        self._flowing = threading.Event()
        self._flowing.set()
        self._unanswered: bytes | None = None
        self._threads: list[threading.Thread] = []
        self._listener: socket.socket | None = None
        self._listen()

    def silence(self) -> None:
        """From now on nothing passes in either direction, and nothing is closed: a half-open connection."""
        self._flowing.clear()

    def forget(self) -> None:
        """Connections that are open stay open, acknowledge everything and say nothing any more; new ones pass."""
        for link in self._links:
            link.is_forgotten = True

    def refuse(self) -> None:
        """Ends what is open and refuses whatever comes, until it heals."""
        assert self._listener is not None, "it refuses already"
        _end(self._listener)
        self._listener = None
        for link in self._links:
            _end(link.client)
            _end(link.server)

    def heal(self) -> None:
        """Everything passes again, what was held up first."""
        self._flowing.set()
        if self._listener is None:
            self._listen()

    def lose_answer_to(self, words: bytes) -> None:
        """The next request with these words reaches the server; its client sees a closed connection."""
        self._unanswered = words

    def swap_sessions(self) -> None:
        """Gives every client another session of the server, as a pooler does between transactions."""
        for link in self._links:
            server = self._connect()
            server.sendall(link.startup)
            said = b""
            while not said.endswith(READY_FOR_QUERY):
                said += server.recv(65_536)
            old, link.server = link.server, server
            self._begin(self._pass_answers, link, server)
            _end(old)

    def __enter__(self) -> "Wire":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._flowing.set()
        if self._listener is not None:
            _end(self._listener)
        self._place.close()
        while self._threads:
            for link in self._links:
                _end(link.client)
                _end(link.server)
            self._threads.pop().join()

    def _begin(self, work, *arguments) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _connect(self) -> socket.socket:
        host, port = self._target["host"], self._target.get("port", "5432")
        if not host.startswith("/"):
            return socket.create_connection((host, int(port)))
        server = socket.socket(socket.AF_UNIX)
        try:
            server.connect(f"{host}/.s.PGSQL.{port}")
        except OSError:
            server.close()
            raise
        return server

    def _listen(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self._place.getsockname()[1]))
        self._begin(self._accept, self._listener)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return  # closed: the test is over, or connections are refused
            self._flowing.wait()
            try:
                server = self._connect()
            except OSError:
                client.close()
                continue
            link = _Link(client, server)
            self._links.append(link)
            self._begin(self._pass_requests, link)
            self._begin(self._pass_answers, link, server)

    def _pass_requests(self, link: _Link) -> None:
        with contextlib.suppress(OSError):
            while data := link.client.recv(65_536):
                link.startup = link.startup or data
                self._flowing.wait()
                if link.is_forgotten:
                    continue
                if self._unanswered is not None and self._unanswered in data:
                    self._unanswered = None
                    link.loses_answer = True
                link.server.sendall(data)
        _end(link.client)
        _end(link.server)

    def _pass_answers(self, link: _Link, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(65_536):
                self._flowing.wait()
                if link.is_forgotten:
                    continue
                if link.loses_answer:
                    self.answers_lost += 1
                    break
                link.client.sendall(data)
        _end(server)
        if link.server is server:  # else the client goes on with another session
            _end(link.client)
