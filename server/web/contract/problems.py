"""What problem documents hold beside type, title, status, detail and code, by code."""

from collections.abc import Mapping
from typing import Any

from server.money.amounts import INTEGER_MAX

_MONEY = {"type": "integer", "minimum": 0, "maximum": INTEGER_MAX}
_ID = {"type": "integer"}
_TEXT = {"type": "string"}
_REFUSED = {"userId": _ID, "amount": _MONEY, "balance": _MONEY}
_FAULT = {
    "type": "object",
    "properties": {
        "pointer": {"type": "string", "description": "A JSON Pointer into the body, as a fragment."},
        "parameter": {"type": "string", "description": "The name of a parameter or header."},
        "detail": {"type": "string"},
    },
    "required": ["detail"],
    "additionalProperties": False,
}

MEMBERS: Mapping[str, Mapping[str, Any]] = {
    "body_too_large": {"limitBytes": _ID},
    "invalid_request": {"errors": {"type": "array", "items": _FAULT, "minItems": 1}},
    "user_not_found": {"userId": _ID},
    "insufficient_funds": {**_REFUSED, "shortfall": _MONEY},
    "balance_limit": _REFUSED,
    "request_id_reused": {"requestId": _TEXT},
    "outcome_unknown": {"requestId": _TEXT},
    "idempotency_key_reused": {"idempotencyKey": _TEXT},
    "idempotency_conflict": {"idempotencyKey": _TEXT},
    "forbidden": {"scope": _TEXT},
    "not_ready": {"reasons": {"type": "array", "items": _TEXT, "minItems": 1}},
    "internal_error": {"instance": _TEXT},
}
