"""What nobody foresaw on the money path: one line in the log for all whom it meets in one batch."""

from collections.abc import Sequence

import psycopg
import structlog

from server.money.postings import Request
from server.money.request_ids import RequestIds
from server.postgres.faults import constraint_of, without_data

log = structlog.get_logger(__name__)


class Incidents:
    """Names the errors of one batch; the answers of all requests that one has met say its name."""

    def __init__(self) -> None:
        self._instances = RequestIds()
        self._named: dict[tuple[str, ...], str] = {}

    def clear(self) -> None:
        """Another batch begins."""
        self._named.clear()

    def instance_of(self, error: Exception, batch: Sequence[Request]) -> str:
        """The error's URN; the first of its kind is told to the log. batch: whom it meets now."""
        kind = [type(error).__name__]
        if isinstance(error, psycopg.Error):
            kind += [error.sqlstate or "", constraint_of(error) or ""]
        instance = self._named.get(tuple(kind))
        if instance is None:
            instance = self._named[tuple(kind)] = f"urn:uuid:{self._instances.make()}"
            movements = sum(request.size for request in batch)
            facts = {"instance": instance, "movements": movements, "first": batch[0].name}
            log.error("movements failed", **facts, **without_data(error))
        return instance
