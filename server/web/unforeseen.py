"""What nobody foresaw: into the log once, under the instance that the client is told."""

import structlog

from server.errors import RingfenceError, UnexpectedError
from server.money.request_ids import RequestIds
from server.web.problem import is_foreseen

_instances = RequestIds()
log = structlog.get_logger(__name__)


def answerable(error: BaseException, method: str | None, route: str) -> RingfenceError:
    """The error to answer with; one that is no answer by itself is logged here."""
    if isinstance(error, RingfenceError) and is_foreseen(error):
        log.debug("refused", route=route, error=str(error))
        return error
    instance = f"urn:uuid:{_instances.make()}"
    log.error("a request failed", instance=instance, method=method, route=route, exc_info=error)
    return UnexpectedError(instance)
