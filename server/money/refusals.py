"""Why money did not move, or why nobody knows: a part of the tree in server/errors.py."""

from collections.abc import Sequence
from typing import Any

from server.errors import ConflictError, DatabaseUnavailableError, RequestError, UserNotFoundError


class NotSentError(DatabaseUnavailableError):
    """A movement waited until its deadline and was not sent; nothing has happened to it."""

    code = "overloaded"
    title = "Too many requests wait"

    def __init__(self) -> None:
        super().__init__("The movement could not be sent in time; nothing has happened. Try again.")


class AccountBusyError(DatabaseUnavailableError):
    """Another transaction held the account until the deadline; nothing has happened."""

    code = "account_busy"
    title = "The account is held by another transaction"

    def __init__(self, user_ids: Sequence[int]) -> None:
        which = f"User {user_ids[0]}" if len(user_ids) == 1 else "One of the accounts"
        super().__init__(f"{which} is held by another transaction; nothing has happened. Try again.")


class OutcomeUnknownError(DatabaseUnavailableError):
    """The request was sent to the database and no answer came in time."""

    code = "outcome_unknown"
    title = "The outcome is not known"

    def __init__(self, request_id: str) -> None:
        super().__init__(
            "The movement was sent and its answer did not come back. It may have taken effect: "
            f"ask GET /requests/{request_id}, or repeat with the same requestId."
        )
        self.request_id = request_id

    def members(self) -> dict[str, Any]:
        return {"requestId": self.request_id}


class NotYetOpenedError(UserNotFoundError):
    """The account was opened later than the moment that was asked for."""

    def __init__(self, user_id: int, moment: str) -> None:
        RequestError.__init__(self, f"User {user_id} was opened later than {moment}.")
        self.user_id = user_id


class MovementNotFoundError(RequestError):
    """No movement of money carries this request id."""

    status = 404
    code = "no_movement"
    title = "No such movement"


class BalanceRefusedError(ConflictError):
    """A rule on balances refused a movement.

    Units: balance and amount are whole minor units; balance is the one that the
    database saw when it refused.
    """

    def __init__(self, user_id: int, balance: int, amount: int) -> None:
        super().__init__(self.describe(user_id, balance, amount))
        self.user_id = user_id
        self.balance = balance
        self.amount = amount

    @staticmethod
    def describe(user_id: int, balance: int, amount: int) -> str:
        return f"User {user_id} has {balance}, which does not allow a change of {amount}."


class InsufficientFundsError(BalanceRefusedError):
    """The balance would pass below zero."""

    code = "insufficient_funds"
    title = "Insufficient funds"

    @staticmethod
    def describe(user_id: int, balance: int, amount: int) -> str:
        return f"User {user_id} has {balance}, which is {amount - balance} less than the {amount} asked for."

    def members(self) -> dict[str, Any]:
        return {
            "userId": self.user_id,
            "amount": self.amount,
            "balance": self.balance,
            "shortfall": self.amount - self.balance,
        }


class BalanceLimitError(BalanceRefusedError):
    """The balance would pass above the largest integer that JSON clients read exactly."""

    code = "balance_limit"
    title = "The balance would be too large"

    def members(self) -> dict[str, Any]:
        return {"userId": self.user_id, "amount": self.amount, "balance": self.balance}


class RequestIdReusedError(RequestError):
    """The request id was used with another user, amount or operation."""

    status = 422
    code = "request_id_reused"
    title = "The request id was used for something else"

    def __init__(self, request_id: str) -> None:
        super().__init__(f"Request id {request_id} was used with another user, amount or operation.")
        self.request_id = request_id

    def members(self) -> dict[str, Any]:
        return {"requestId": self.request_id}


class IdempotencyKeyReusedError(RequestError):
    """The key was used with another request."""

    status = 422
    code = "idempotency_key_reused"
    title = "The Idempotency-Key was used for something else"

    def __init__(self, key: str) -> None:
        super().__init__(
            f"Idempotency-Key {key} was used with another user, amount or operation; take a new key."
        )
        self.key = key

    def members(self) -> dict[str, Any]:
        return {"idempotencyKey": self.key}


class IdempotencyConflictError(ConflictError):
    """The first request of this key is still under way."""

    code = "idempotency_conflict"
    title = "The first request of this Idempotency-Key is under way"

    def __init__(self, key: str) -> None:
        super().__init__(
            f"The first request with Idempotency-Key {key} has no outcome yet. Repeat it later, as it is."
        )
        self.key = key

    def members(self) -> dict[str, Any]:
        return {"idempotencyKey": self.key}
