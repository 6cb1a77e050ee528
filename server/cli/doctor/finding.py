"""What a check found: how grave it is, in a sentence, and what mends it. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Level(StrEnum):
    """How grave a finding is. FAULT: the service does not start, or breaks a promise."""

    OK = "ok"
    WARNING = "warning"
    FAULT = "fault"


@dataclass(frozen=True)
class Finding:
    """One answer of one check. mend: what to do about it; empty if there is nothing to do."""

    level: Level
    subject: str
    text: str
    mend: str = ""

    def as_object(self) -> dict[str, Any]:
        """The form for programs."""
        return {"level": str(self.level), "check": self.subject, "text": self.text, "mend": self.mend or None}


def ok(subject: str, text: str) -> Finding:
    """All is as it should be."""
    return Finding(Level.OK, subject, text)


def warning(subject: str, text: str, mend: str) -> Finding:
    """The service runs, and something will hurt one day."""
    return Finding(Level.WARNING, subject, text, mend)


def fault(subject: str, text: str, mend: str) -> Finding:
    """The service does not start, or breaks a promise."""
    return Finding(Level.FAULT, subject, text, mend)


def worst(findings: Iterable[Finding]) -> Level:
    """The gravest level among them."""
    grave = [Level.OK, Level.WARNING, Level.FAULT]
    return max((finding.level for finding in findings), key=grave.index, default=Level.OK)
