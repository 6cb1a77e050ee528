"""The lines of the README that begin with curl, and what it says about their answers."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_BLOCK = re.compile(r"^```\w*\n(.*?)^```\n(.*?)(?=^```|\Z)", re.MULTILINE | re.DOTALL)
_SAYS = re.compile(r"\s*answers (\d{3})")
_REMARK = re.compile(r"#.*?\b([45]\d\d)\b")


@dataclass(frozen=True)
class CurlLine:
    """One line as it stands. statuses: what it may answer; answer: the one that is shown, if any."""

    text: str
    statuses: frozenset[int]
    answer: Any = None


def curl_lines(text: str) -> Iterator[CurlLine]:
    """Every one, in order.

    A line answers 2xx unless what follows its block begins with `answers 409` (or another
    status), or its own remark names one besides. The answer is the block that follows at once.
    """
    blocks = [(match[1], match[2]) for match in _BLOCK.finditer(text)]
    for (block, after), (following, _) in zip(blocks, [*blocks[1:], ("", "")], strict=True):
        lines = [line for line in block.splitlines() if line.startswith("curl ")]
        for place, line in enumerate(lines):
            is_last = place == len(lines) - 1
            said = _SAYS.match(after) if is_last else None
            statuses = {int(said[1])} if said else set(range(200, 300))
            if remark := _REMARK.search(line):
                statuses.add(int(remark[1]))
            shows = is_last and not after.strip() and following.startswith("{")
            yield CurlLine(line, frozenset(statuses), json.loads(following) if shows else None)


def shape(value: Any) -> Any:
    """The members of a JSON value and their types, without what they hold."""
    if isinstance(value, dict):
        return {name: shape(member) for name, member in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__
