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


def test_the_index_of_the_documents_names_each_of_them(project: Path) -> None:
    named = set(re.findall(r"\]\((\w[\w-]*\.md)\)", (project / "docs/README.md").read_text(encoding="utf-8")))
    assert named == {path.name for path in (project / "docs").glob("*.md")} - {"README.md"}


@pytest.mark.parametrize("folder", ["", "docs", "benchmarks", "deploy"])
def test_every_link_between_documents_leads_somewhere(project: Path, folder: str) -> None:
    pages = (project / folder).glob("*.md") if folder != "deploy" else (project / folder).rglob("*.md")
    broken = []
    for page in pages:
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            if not re.match(r"https?:|mailto:", target) and not (page.parent / target).exists():
                broken.append(f"{page.relative_to(project)}: {target}")
    assert broken == []
