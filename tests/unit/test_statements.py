"""What all statements of the product have in common."""

import re
from pathlib import Path

import pytest

SERVER = Path(__file__).resolve().parents[2] / "server"


@pytest.mark.parametrize("path", sorted(SERVER.rglob("*.sql")), ids=lambda path: path.name)
def test_no_statement_takes_whatever_columns_there_are(path):
    """A later migration may add a column or let a function tell more: nodes of this release go on."""
    lines = [line.partition("--")[0] for line in path.read_text(encoding="utf-8").splitlines()]
    assert re.findall(r"(?:select|returning|,)\s+(?:\w+\.)?\*", "\n".join(lines), re.IGNORECASE) == []
