"""One call of the service's HTTP API, for the commands that show and steer its tasks."""

import http.client
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from server.cli.account import Service, ServiceError
from server.cli.options import token_headers
from server.errors import RingfenceError

ANSWER_BYTES_MAX = 64 * 1024 * 1024
HOW_TO_SHOW_ONE = " Here: `--token-file FILE`, or the variable RINGFENCE_TOKEN."
FINAL_STATUSES = frozenset({400, 401, 403, 404, 422})


class RefusedError(RingfenceError):
    """The service said no; the message is its own, and `problem` all that it said."""

    code = "refused"

    def __init__(self, problem: dict[str, Any], status: int) -> None:
        said = str(problem.get("detail") or problem.get("title") or f"it answered {status}")
        super().__init__(said + (HOW_TO_SHOW_ONE if problem.get("code") == "unauthenticated" else ""))
        self.problem = problem
        self.http_status = status

    @property
    def is_final(self) -> bool:
        """Whether asking again is no use: it has nothing to do with what goes on there."""
        return self.http_status in FINAL_STATUSES


@dataclass(frozen=True)
class Answer:
    """What the service answered. at: when, by its own clock, to the second."""

    content: dict[str, Any]
    at: datetime


def refusal(status: int, body: bytes) -> RefusedError:
    """The error of an answer that is none, whatever its body is."""
    try:
        problem = json.loads(body)
    except ValueError:
        # A proxy answers with a page of its own; its status is then all that is known.
        problem = None
    return RefusedError(problem if isinstance(problem, dict) else {}, status)


def call(url: str, method: str, path: str, body: dict[str, Any] | None = None) -> Answer:
    """Calls the API at a base URL, within CALL_SECONDS_MAX (account.py), with this process's token.

    Raises RefusedError for a problem document, ServiceError if there is no answer or
    none that can be read.
    """
    service = Service(url)
    connection = service.connect()
    try:
        headers = {"Connection": "close"} | token_headers()
        if body is None:
            connection.request(method, path, headers=headers)
        else:
            headers |= {"Content-Type": "application/json"}
            connection.request(method, path, json.dumps(body), headers)
        response = connection.getresponse()
        content = json.loads(response.read(ANSWER_BYTES_MAX))
        at = _moment(response.getheader("Date"))
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise ServiceError(f"{method} {url}{path}: {error or type(error).__name__}") from None
    finally:
        connection.close()
    if not isinstance(content, dict):
        raise ServiceError(f"{method} {url}{path}: the answer is no JSON object")
    if response.status >= 300:
        raise RefusedError(content, response.status)
    return Answer(content, at)


def _moment(date: str | None) -> datetime:
    # The clock there decides how long something still takes, if it tells; this one may be off.
    if date is not None:
        return parsedate_to_datetime(date)
    return datetime.now(UTC)  # noqa: TID251 for what a person reads
