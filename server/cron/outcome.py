"""How a run ended: what its job told, what it printed, what its death says.

Shared by the jobs in processes of their own and those in the node's loop, so
that both end alike. Pure: no clock, no I/O.
"""

import json
import signal
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

OUTPUT_BYTES_MAX = 65_536
RESULT_BYTES_MAX = 65_536
ERROR_CHARACTERS_MAX = 16_000
MESSAGE_CHARACTERS_MAX = 200
PROGRESS_MAX = 1e300  # above it is infinity, and nothing compares with what is no number

_SIGNALS = {number.value: number.name for number in signal.Signals}

Reason = Literal["cancelled", "timed_out", "interrupted", "lost"]
_WHY: Mapping[Reason, str] = {
    "cancelled": "cancelled by an operator",
    "timed_out": "ran longer than its timeout",
    "interrupted": "its node stopped; it is due again elsewhere",
    "lost": "the run was taken away",
}


@dataclass(frozen=True)
class Outcome:
    """How a run ended. status: one of the runs table, or "lost": then nothing is recorded."""

    status: str
    result: Any = None
    output: str | None = None
    error: str | None = None


class Output:
    """The last OUTPUT_BYTES_MAX bytes of what a job prints."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._is_cut = False

    def add(self, data: bytes) -> None:
        self._bytes += data
        # Twice the limit, so that a talkative job does not cost a copy for each line.
        if len(self._bytes) > 2 * OUTPUT_BYTES_MAX:
            self._cut()

    @property
    def text(self) -> str | None:
        """As it is stored; None if nothing was printed."""
        self._cut()
        kept = bytes(self._bytes)
        if self._is_cut:
            # The cut may have gone through a character, whose rest says nothing.
            rest = next((place for place, byte in enumerate(kept[:4]) if byte & 0xC0 != 0x80), 0)
            kept = kept[rest:]
        # PostgreSQL's text takes every character but NUL.
        return kept.decode("utf-8", "replace").replace("\0", "\N{REPLACEMENT CHARACTER}") or None

    def _cut(self) -> None:
        if len(self._bytes) > OUTPUT_BYTES_MAX:
            del self._bytes[:-OUTPUT_BYTES_MAX]
            self._is_cut = True


# What a job tells; in this form it also travels from the job's process to its node.

CANCELLED: Mapping[str, Any] = {"outcome": "cancelled"}


def returned(result: Any) -> dict[str, Any]:
    """The job returned; ValueError or TypeError say why the result can't be kept."""
    encoded = json.dumps(result, allow_nan=False, ensure_ascii=False).encode()
    if b"\\u0000" in encoded:
        raise ValueError("the result contains a NUL character, which PostgreSQL's JSON cannot hold")
    if len(encoded) > RESULT_BYTES_MAX:
        raise ValueError(f"the result has {len(encoded)} bytes as JSON; {RESULT_BYTES_MAX} are allowed")
    # As it was at this moment, and as everybody will read it: a tuple is a list, a key is text.
    return {"outcome": "returned", "result": json.loads(encoded)}


def raised(remark: str = "") -> dict[str, Any]:
    """The job raised what is being handled right now; remark: a last line for those who read the error."""
    error = _storable(traceback.format_exc() + remark)
    return {"outcome": "raised", "error": error[-ERROR_CHARACTERS_MAX:]}


def progress_report(done: Any, total: Any, message: Any) -> dict[str, Any]:
    """How far a job is; ValueError for what the table could not hold, for one report spoils a batch."""
    for number in (done, total):
        if not isinstance(number, int | float) or not abs(number) <= PROGRESS_MAX:
            raise ValueError(f"progress is told in finite numbers, not {number!r:.50}")
    return {"done": done, "total": total, "message": _storable(str(message)[:MESSAGE_CHARACTERS_MAX])}


def _storable(text: str) -> str:
    """Without what PostgreSQL's text cannot hold."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


def judge(reason: Reason | None, told: Mapping[str, Any] | None, output: str | None, death: str) -> Outcome:
    """What is recorded of a job that is gone.

    reason: why it was asked to end, if it was. death: what is said of one that told nothing.
    """
    if reason == "lost":
        return Outcome("lost", error=_WHY["lost"])
    match told or {}:
        case {"outcome": "returned", "result": result}:
            return Outcome("succeeded", result, output)
        case {"error": str(error)}:
            return Outcome(reason or "failed", None, output, error)
        case {"outcome": "cancelled"} if reason is None:
            return Outcome("failed", None, output, "the job cancelled itself")
    if reason is not None:
        return Outcome(reason, None, output, _WHY[reason])
    return Outcome("failed", None, output, death)


def describe_death(code: int, peak_kib: int) -> str:
    """How a job's process ended that told no outcome. code: exit code, or minus the signal."""
    peak = f"its memory had reached {peak_kib // 1024} MiB"
    if code < 0:
        name = _SIGNALS.get(-code, f"signal {-code}")  # most of the real-time ones have none
        who = ", sent by the kernel for want of memory or by somebody here" if name == "SIGKILL" else ""
        return f"the job's process was ended by {name}{who}, before it told an outcome; {peak}"
    return f"the job's process ended with exit code {code} before it told an outcome; {peak}"
