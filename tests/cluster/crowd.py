"""Clients of a service that restarts or changes its size: what they sent, and what was answered."""

import threading

from service import Service


class Crowd:
    """Withdrawals of 1 over the public port, one after the other on new connections, until told to end."""

    def __init__(self, service: Service, threads: int = 4) -> None:
        self._service = service
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._send) for _ in range(threads)]
        self.succeeded: list[int] = []
        self.failed: list[str] = []

    def __enter__(self) -> "Crowd":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()

    def _send(self) -> None:
        while not self._end.wait(0.02):
            try:
                status, _ = self._service.post("/withdraw", '{"userId": 1, "amount": 1}')
                self.succeeded.append(status)
            except OSError as error:  # HTTPError is one as well
                self.failed.append(repr(error))
