"""The tree of errors: what happened, with its data, one status and one code each.

`status` is the HTTP status of the answer and `code` the stable word that
clients may rely on. The text of a message is for people and may change.

Here are the roots, and what more than one part raises. What one part alone
refuses stands beside it: money/refusals.py, access/refusals.py, web/refusals.py.
"""

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


class RequestError(RingfenceError):
    """The request can't be understood or accepted as it is."""

    status = 400
    code = "bad_request"
    title = "Bad request"


class InvalidJsonError(RequestError):
    """The body is not JSON."""

    code = "invalid_json"
    title = "The body is not JSON"


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


class ConflictError(RingfenceError):
    """The request is right, and the state of things refuses it."""

    status = 409
    code = "conflict"
    title = "Conflict"


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
