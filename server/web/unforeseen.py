"""What nobody foresaw: into the log once, under the instance that the client is told."""

from collections.abc import Mapping

import structlog

from server import logs
from server.errors import RingfenceError, UnexpectedError
from server.money.request_ids import RequestIds
from server.postgres.faults import without_data
from server.web.problem import is_foreseen
from server.web.request_id import request_id

_instances = RequestIds()
log = structlog.get_logger(__name__)


def answerable(
    error: BaseException, method: str | None, route: str, headers: Mapping[str, str] | None = None
) -> RingfenceError:
    """The error to answer with; one that is no answer by itself is logged here.

    headers: of the request, where its lines in the log don't carry its id by themselves.
    """
    if isinstance(error, RingfenceError) and is_foreseen(error):
        if logs.is_written("debug"):
            # Its code and not its text, which may repeat what the client sent.
            log.debug("refused", route=route, code=error.code, **_named(headers))
        return error
    instance = f"urn:uuid:{_instances.make()}"
    facts = {"instance": instance, "method": method, "route": route}
    log.error("a request failed", **facts, **_named(headers), **without_data(error))
    return UnexpectedError(instance)


def _named(headers: Mapping[str, str] | None) -> dict[str, str]:
    return {} if headers is None else {"request": request_id(headers)}
