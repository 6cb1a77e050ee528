"""What Schemathesis checks beside its own checks; see schemathesis.toml."""

import schemathesis

STATED = {"request_id_reused", "idempotency_key_reused"}
"""422 that depend on what was asked before."""
UNSAID = (
    "must not lie in the future",
    "is that of withdrawal",  # a request id twice in one list
    "must be what `next` of the page before says",
    "a number with a fraction or an exponent",  # 2.0 is an integer to a schema, and no amount to us
    "more faulty members",  # of the same list
)
"""Faults that a JSON Schema can't describe."""


@schemathesis.check
def what_the_schema_takes_is_not_called_invalid(ctx, response, case) -> None:
    """A 422 to a request that the schema allows is one of those that it can't describe."""
    if response.status_code != 422 or case.meta is None or not case.meta.generation.mode.is_positive:
        return
    problem = response.json()
    if problem["code"] in STATED:
        return
    faults = [fault["detail"] for fault in problem["errors"]]
    assert all(any(known in fault for known in UNSAID) for fault in faults), faults
