"""The header Idempotency-Key, as clients send it.

The IETF's draft wants a quoted structured string (RFC 8941), most clients send the
bare text; both mean the same key. Which keys count, and how long, is the database's
business (see idempotency_keys.sql).

Pure: headers in, a key or an error out.
"""

import re

from tornado.httputil import HTTPHeaders

from server.web.refusals import InvalidIdempotencyKeyError

NAME = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
KEY_CHARACTERS_MAX = 255
PATTERN = (
    rf'^(?:"(?:[!#-\[\]-~]|\\["\\]){{1,{KEY_CHARACTERS_MAX}}}"|[!#-~][!-~]{{0,{KEY_CHARACTERS_MAX - 1}}})$'
)
"""The same rule for the contract: quoted, or bare and not beginning with a quotation mark."""
_QUOTED = re.compile(r'"((?:[^"\\]|\\["\\])*)"')
_VISIBLE = re.compile(rf"[\x21-\x7e]{{1,{KEY_CHARACTERS_MAX}}}")


def key_of(headers: HTTPHeaders) -> str | None:
    """The key of a request; None without one. Raises InvalidIdempotencyKeyError (400)."""
    if NAME not in headers:
        return None
    given = headers.get_list(NAME)
    if len(given) > 1:
        raise InvalidIdempotencyKeyError(f"{NAME} is given {len(given)} times.")
    text = given[0].strip(" \t")  # and no other blanks: those of Latin-1 are no ASCII
    if text.startswith('"'):
        quoted = _QUOTED.fullmatch(text)
        if quoted is None:
            raise InvalidIdempotencyKeyError(f"{NAME} begins with a quotation mark and is no quoted string.")
        text = re.sub(r"\\(.)", r"\1", quoted[1])
    if _VISIBLE.fullmatch(text) is None:
        raise InvalidIdempotencyKeyError(
            f"{NAME} must have 1 to {KEY_CHARACTERS_MAX} visible ASCII characters, without blanks."
        )
    return text
