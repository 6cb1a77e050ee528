"""Whether this version of the code can work on the schema that it finds.

Formula
    Each migration names the oldest code that goes on working on what it leaves, by that
    code's own newest revision (`compatible_from`). The run of migrations keeps the highest
    of them all beside the revision, in the same transaction. So code that can't know a
    newer migration still reads from the database whether it may go on.

Answers
    found            own       the code
    nothing          any       waits for a migration, or runs it
    older            newer     the same
    the same         the same  works
    newer, from <=   own       works, and says so once: a rolling upgrade
    newer, from >    own       refuses, and names the command that mends it
    newer, unknown   any       refuses: whoever migrated did not say

Pure: no I/O.
"""

import json
from dataclasses import dataclass
from enum import Enum


class Fit(Enum):
    """What the code can do with what it found."""

    OLDER = "older"
    SAME = "same"
    NEWER = "newer, and this code goes on"
    TOO_NEW = "too new"


@dataclass(frozen=True)
class Schema:
    """What a database has. compatible_from: the oldest code that works on it; None if nobody said."""

    revision: str
    compatible_from: str | None


def fits(found: Schema | None, own: str) -> Fit:
    """Whether code whose newest revision is `own` works on what was found; None: an empty database."""
    if found is None or found.revision < own:
        return Fit.OLDER
    if found.revision == own:
        return Fit.SAME
    if found.compatible_from is not None and found.compatible_from <= own:
        return Fit.NEWER
    return Fit.TOO_NEW


def describe(found: Schema | None, own: str) -> str:
    """The same for people, with the command that mends it where something has to be mended."""
    if found is None:
        return f"the database has no schema yet; this version needs revision {own}: run `ringfence migrate`"
    match fits(found, own):
        case Fit.OLDER:
            return (
                f"the database's schema is at revision {found.revision}, older than {own}, which this "
                f"version needs: run `ringfence migrate`"
            )
        case Fit.SAME:
            return f"the database's schema is at revision {own}, which is this version's own"
        case Fit.NEWER:
            return (
                f"the database's schema is at revision {found.revision}, newer than this version's own "
                f"({own}), and made so that versions from {found.compatible_from} on go on working"
            )
        case Fit.TOO_NEW:
            needed = (
                f"works only with versions from {found.compatible_from} on"
                if found.compatible_from is not None
                else "does not say that older versions go on working"
            )
            return (
                f"the database's schema is at revision {found.revision}, newer than this version's own "
                f"({own}), and {needed}: install the newer ringfence, or go back with its own "
                f"`ringfence migrate --to {own}`"
            )


def remark(schema: Schema) -> str:
    """What is kept beside the revision."""
    return json.dumps({"revision": schema.revision, "compatible_from": schema.compatible_from})


def from_remark(revision: str, text: str | None) -> Schema:
    """Reads it again.

    A remark about another revision is none: then somebody changed the revision by other means.
    """
    try:
        said = json.loads(text or "{}")
    except ValueError:
        said = {}
    if not isinstance(said, dict) or said.get("revision") != revision:
        return Schema(revision, None)
    oldest = said.get("compatible_from")
    return Schema(revision, oldest if isinstance(oldest, str) else None)
