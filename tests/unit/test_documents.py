"""What the documents name is there."""

import re
from pathlib import Path

import pytest


@pytest.fixture
def names(project: Path) -> set[str]:
    """Every test function of the suite."""
    found: set[str] = set()
    for path in (project / "tests").rglob("test_*.py"):
        found.update(
            re.findall(r"^\s*(?:async )?def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
        )
    return found


@pytest.mark.parametrize(
    "document",
    [
        "docs/invariants.md",
        "docs/protocol.md",
        "docs/money.md",
        "docs/events.md",
        "docs/database.md",
        "docs/security.md",
        "docs/scaling.md",
    ],
)
def test_every_test_that_a_document_names_exists(project: Path, names: set[str], document: str) -> None:
    text = (project / document).read_text(encoding="utf-8")
    assert set(re.findall(r"`(test_\w+)`", text)) - names == set()
    files = re.findall(r"`((?:tests|server|alembic|spec|benchmarks)/[\w./-]+\.\w+)`", text)
    assert [file for file in files if not (project / file).is_file()] == []


def test_each_of_the_mistakes_of_schedulers_and_queues_has_its_row_and_a_test(project: Path) -> None:
    _, _, section = (
        (project / "docs/invariants.md").read_text(encoding="utf-8").partition("### Schedulers and queues")
    )
    rows = re.findall(r"^\| (\d+) \|.*\| ([^|]*) \|$", section, re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, 30))
    assert [number for number, tests in rows if "`test" not in tests] == []
