"""What an outcome of the database means to the client: a receipt, or an error.

Pure, and a function of the request and the stored outcome alone: so the answer to a
repeated request is the first one, byte for byte.
"""

from collections.abc import Mapping
from typing import Literal

from server.errors import RingfenceError, UserNotFoundError
from server.money.amounts import Movement
from server.money.postings import Posted
from server.money.records import Receipt
from server.money.refusals import (
    BalanceLimitError,
    BalanceRefusedError,
    IdempotencyKeyReusedError,
    InsufficientFundsError,
    RequestIdReusedError,
)

Operation = Literal["withdraw", "deposit"]

_REFUSALS: Mapping[str, type[BalanceRefusedError]] = {
    "insufficient_funds": InsufficientFundsError,
    "balance_limit": BalanceLimitError,
}


def as_asked(movement: Movement, posted: Posted) -> Posted:
    """The outcome of a movement with a key: key_reused if its first request had another id.

    The database can't tell an id that the client chose from one that a node made.
    """
    if posted.replayed and movement.request_id not in {None, posted.request_id}:
        return posted._replace(outcome="key_reused", replayed=False)
    return posted


def meaning(movement: Movement, posted: Posted, key: str | None) -> Receipt | RingfenceError:
    """The receipt of a movement that was posted; else the error to answer with."""
    outcome, balance, entry_id, _, request_id = posted
    if outcome == "posted":
        assert balance is not None, "a posted movement has a balance"
        assert entry_id is not None, "a posted movement has an entry"
        return Receipt(movement.user_id, movement.amount, balance, entry_id, request_id)
    if outcome in _REFUSALS:
        assert balance is not None, "the balance that refused is told"
        return _REFUSALS[outcome](movement.user_id, balance, movement.amount)
    if outcome == "user_not_found":
        return UserNotFoundError(movement.user_id)
    if outcome == "request_id_reused":
        return RequestIdReusedError(request_id)
    assert outcome == "key_reused", f"an outcome that nobody knows: {outcome}"
    return IdempotencyKeyReusedError(key or "")
