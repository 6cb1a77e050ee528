"""What a section of the benchmark hands back: tables, targets, and what was wrong."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Table:
    """A title, columns, and rows of text; the first column is what the row is about."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        """The table as Markdown that is legible on a terminal, too."""
        widths = [max(len(cell) for cell in column) for column in zip(self.columns, *self.rows, strict=True)]
        rules = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
        lines = [_line(self.columns, widths), _line(rules, widths)]
        lines += [_line(row, widths) for row in self.rows]
        return "\n".join([f"{self.title}:", "", *lines])


@dataclass(frozen=True)
class Target:
    """A promise and what was measured. None: it could not be."""

    what: str
    wanted: float
    measured: float | None
    at_most: bool = False

    @property
    def verdict(self) -> str:
        """Reached, missed, or not measured."""
        if self.measured is None:
            return "not measured"
        reached = self.measured <= self.wanted if self.at_most else self.measured >= self.wanted
        return "reached" if reached else "MISSED"

    def cells(self) -> tuple[str, str, str, str]:
        """A row of the table of targets."""
        bound = "at most" if self.at_most else "at least"
        measured = "–" if self.measured is None else f"{self.measured:.2f}"
        return self.what, f"{bound} {self.wanted:g}", measured, self.verdict


@dataclass(frozen=True)
class Section:
    """One section's result. wrong: arithmetic that was off, each a sentence; data: for the JSON."""

    name: str
    tables: Sequence[Table]
    targets: Sequence[Target] = ()
    notes: Sequence[str] = ()
    wrong: Sequence[str] = ()
    data: dict[str, Any] = field(default_factory=dict)

    def markdown(self) -> str:
        """Everything for people."""
        parts = [table.markdown() for table in self.tables]
        if self.targets:
            rows = [target.cells() for target in self.targets]
            parts.append(Table("Targets", ("target", "wanted", "measured", "verdict"), rows).markdown())
        parts += [f"- {note}" for note in self.notes]
        parts += [f"- WRONG: {fault}" for fault in self.wrong]
        return "\n\n".join(parts)

    def as_object(self) -> dict[str, Any]:
        """Everything for programs."""
        return {
            "targets": [
                {
                    "what": target.what,
                    "wanted": target.wanted,
                    "at": "most" if target.at_most else "least",
                    "measured": target.measured,
                    "verdict": target.verdict,
                }
                for target in self.targets
            ],
            "wrong": list(self.wrong),
            "notes": list(self.notes),
            **self.data,
        }


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *rest = zip(cells, widths, strict=True)
    return "| " + " | ".join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in rest)]) + " |"
