"""Whole answers, as values: made in one place for the handlers and for the lean path.

Pure, and a function of the request and its outcome alone, so that a repeated request
gets its first answer byte for byte.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from server.errors import RingfenceError
from server.money.amounts import Movement
from server.money.outcomes import as_asked, meaning
from server.money.postings import Posted
from server.money.records import Opened, Receipt
from server.web import problem
from server.web.idempotency import REPLAYED

JSON = "application/json"
ALWAYS = {"Server": "Ringfence", "Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
"""What every answer carries."""
_NOTHING: Mapping[str, str] = {}
_IS_REPLAYED: Mapping[str, str] = {REPLAYED: "true"}
_encode = msgspec.json.Encoder().encode


class Reply(NamedTuple):
    """An answer without what every answer carries."""

    status: int
    content_type: str
    headers: Mapping[str, str]
    body: bytes


class _ListedReceipt(Struct, frozen=True, rename="camel"):
    """As Receipt, beside others; status: what it would have been alone."""

    status: int
    user_id: int
    amount: int
    balance: int
    entry_id: int
    request_id: str


def of_error(error: RingfenceError) -> Reply:
    """The problem document of an error."""
    return Reply(error.status, problem.CONTENT_TYPE, problem.headers(error), problem.document(error))


def of_movement(movement: Movement, posted: Posted, key: str | None) -> Reply:
    """The answer to one movement with an outcome."""
    if key is not None:
        posted = as_asked(movement, posted)
    replayed = _IS_REPLAYED if posted.replayed and key is not None else _NOTHING
    found = meaning(movement, posted, key)
    if isinstance(found, Receipt):
        return Reply(200, JSON, replayed, _encode(found))
    return of_error(found)._replace(headers={**problem.headers(found), **replayed})


def of_movements(movements: Sequence[Movement], posted: Sequence[Posted], key: str | None) -> Reply:
    """The answer to a list of movements: a result for each, in order."""
    if posted[0].outcome == "key_reused":
        return of_movement(movements[0], posted[0], key)
    replayed = _IS_REPLAYED if key is not None and all(one.replayed for one in posted) else _NOTHING
    refusals: dict[object, dict[str, Any]] = {}
    results = [_listed(movement, one, refusals) for movement, one in zip(movements, posted, strict=True)]
    return Reply(200, JSON, replayed, _encode({"results": results}))


def of_opening(opened: Opened) -> Reply:
    """The answer to a request for an account."""
    replayed = _IS_REPLAYED if opened.replayed else _NOTHING
    location = f"/users/{opened.account.id}"
    return Reply(201, JSON, {"Location": location, **replayed}, _encode(opened.account))


def _listed(
    movement: Movement, posted: Posted, refusals: dict[object, dict[str, Any]]
) -> _ListedReceipt | dict[str, Any]:
    """refusals: what was said before in this list, since thousands may be refused in the same words."""
    words = (movement.user_id, movement.amount, posted.outcome, posted.balance)
    said = refusals.get(words)
    if said is None:
        found = meaning(movement, posted, None)
        if isinstance(found, Receipt):
            return _ListedReceipt(
                200, found.user_id, found.amount, found.balance, found.entry_id, found.request_id
            )
        said = problem.members(found)
        if posted.outcome != "request_id_reused":  # the only one whose words name the id
            refusals[words] = said
    return {**said, "requestId": posted.request_id}
