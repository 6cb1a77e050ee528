"""The tree of errors: what happened, with its data, one status and one code each.

`status` is the HTTP status of the answer and `code` the stable word that
clients may rely on. The text of a message is for people and may change.
"""

from collections.abc import Sequence
from typing import Any, ClassVar


class RingfenceError(Exception):
    """Anything that this product raises on purpose."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    title: ClassVar[str] = "Internal error"

    def members(self) -> dict[str, Any]:
        """Data for the problem document, beside type, title, status and detail."""
        return {}


class UnexpectedError(RingfenceError):
    """Something that nobody foresaw, and that the log has under `instance`."""

    def __init__(self, instance: str) -> None:
        super().__init__("An unexpected error happened. The log has it under this problem's instance.")
        self.instance = instance

    def members(self) -> dict[str, Any]:
        return {"instance": self.instance}


class ConfigurationError(RingfenceError):
    """The configuration can't be used; the message names file, key, value and reason."""

    code = "configuration_error"


class DatabaseUnavailableError(RingfenceError):
    """PostgreSQL can't be reached, or did not answer within the deadline."""

    status = 503
    code = "database_unavailable"
    title = "The database can't be reached"

    def __init__(self, message: str, *, retry_after_seconds: int = 1) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class TransferError(RingfenceError):
    """A backup can't be written or read, or a database can't be filled from it; nothing was changed."""

    code = "transfer_failed"


class SchemaMismatchError(RingfenceError):
    """The database's schema is not the one that this version needs."""

    status = 503
    code = "schema_mismatch"
    title = "The database's schema does not fit"


class OverloadedError(DatabaseUnavailableError):
    """More movements wait than this node takes; nothing has happened to this one."""

    code = "overloaded"
    title = "Too many requests wait"

    def __init__(self, queued: int, what: str = "movements wait for the database") -> None:
        super().__init__(f"{queued} {what} already; nothing has happened. Try again.")


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


class RequestError(RingfenceError):
    """The request can't be understood or accepted as it is."""

    status = 400
    code = "bad_request"
    title = "Bad request"


class InvalidJsonError(RequestError):
    """The body is not JSON."""

    code = "invalid_json"
    title = "The body is not JSON"


class UnsupportedMediaTypeError(RequestError):
    """The body is of a kind that this route does not take."""

    status = 415
    code = "unsupported_media_type"
    title = "Unsupported media type"


class NotAcceptableError(RequestError):
    """The client takes none of the kinds of answers that this route gives."""

    status = 406
    code = "not_acceptable"
    title = "Not acceptable"


class HeadTooLargeError(RequestError):
    """The head of the request is larger than any route takes."""

    status = 431
    code = "head_too_large"
    title = "The head of the request is too large"


class BodyTooLargeError(RequestError):
    """The body is larger than this route takes."""

    status = 413
    code = "body_too_large"
    title = "The body is too large"

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"The body may have up to {limit_bytes} bytes.")
        self.limit_bytes = limit_bytes

    def members(self) -> dict[str, Any]:
        return {"limitBytes": self.limit_bytes}


class InvalidRequestError(RequestError):
    """Members of the request are wrong; each is named by a JSON Pointer.

    faults: (pointer, what was wrong) for each member.
    """

    status = 422
    code = "invalid_request"
    title = "The request is not valid"

    def __init__(self, faults: list[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{pointer or 'the body'}: {fault}" for pointer, fault in faults))
        self.faults = faults

    def members(self) -> dict[str, Any]:
        return {"errors": [{"pointer": f"#{pointer}", "detail": fault} for pointer, fault in self.faults]}


class RouteNotFoundError(RequestError):
    """There is nothing at this path."""

    status = 404
    code = "not_found"
    title = "Not found"


class MethodNotAllowedError(RequestError):
    """The path exists, and does not take this method."""

    status = 405
    code = "method_not_allowed"
    title = "Method not allowed"

    def __init__(self, method: str, allowed: list[str]) -> None:
        super().__init__(f"{method} is not allowed here; allowed: {', '.join(allowed)}.")
        self.allowed = allowed


class UserNotFoundError(RequestError):
    """There is no account with this id."""

    status = 404
    code = "user_not_found"
    title = "User not found"

    def __init__(self, user_id: int) -> None:
        super().__init__(f"There is no user {user_id}.")
        self.user_id = user_id

    def members(self) -> dict[str, Any]:
        return {"userId": self.user_id}


class NotYetOpenedError(UserNotFoundError):
    """The account was opened later than the moment that was asked for."""

    def __init__(self, user_id: int, moment: str) -> None:
        RequestError.__init__(self, f"User {user_id} was opened later than {moment}.")
        self.user_id = user_id


class TaskNotFoundError(RequestError):
    """There is no task of this name."""

    status = 404
    code = "task_not_found"
    title = "Task not found"


class RunNotFoundError(RequestError):
    """There is no run with this id."""

    status = 404
    code = "run_not_found"
    title = "Run not found"


class MovementNotFoundError(RequestError):
    """No movement of money carries this request id."""

    status = 404
    code = "no_movement"
    title = "No such movement"


class ConflictError(RingfenceError):
    """The request is right, and the state of things refuses it."""

    status = 409
    code = "conflict"
    title = "Conflict"


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


class InvalidIdempotencyKeyError(RequestError):
    """The header Idempotency-Key is not one that is taken."""

    code = "invalid_idempotency_key"
    title = "The Idempotency-Key is not valid"


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


class TaskRefusedError(ConflictError):
    """A task can't do what was asked in its present state."""

    code = "task_refused"
    title = "The task can't do that now"


class NameInUseError(RingfenceError):
    """Another living process is the member of this name."""

    code = "name_in_use"


class RunLostError(RingfenceError):
    """The run was taken away; nothing that it writes may count."""

    code = "run_lost"


class UnguardedError(RingfenceError):
    """guard() was called outside a transaction, where it would protect nothing."""

    code = "unguarded"

    def __init__(self) -> None:
        super().__init__(
            "guard() protects the transaction that it is called in, and this connection commits each "
            "statement by itself. Turn autocommit off, or call it within connection.transaction()."
        )
