"""What names one HTTP request in the log.

A proxy or client that names its requests sends X-Request-Id; of a traced one the trace's id
serves; any other gets an id here. It is no idempotency key and has no effect but in the log.
"""

import re
from collections.abc import Mapping

from server.money.request_ids import RequestIds

HEADER = "X-Request-Id"
TRACE_HEADER = "traceparent"
_NAME = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_TRACE = re.compile(r"00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_made = RequestIds()


def request_id(headers: Mapping[str, str]) -> str:
    """The name of a request with these headers. What is no proper name is not repeated."""
    given = headers.get(HEADER)
    if given is not None and _NAME.fullmatch(given):
        return given
    traced = _TRACE.fullmatch(headers.get(TRACE_HEADER) or "")
    return traced[1] if traced else _made.make()
