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


def pages(project: Path) -> list[Path]:
    """Every page of ours for people."""
    folders = ("", "docs", "benchmarks", "spec", ".ci")
    return [
        *(page for folder in folders for page in sorted((project / folder).glob("*.md"))),
        *sorted((project / "deploy").rglob("*.md")),
    ]


def links(page: Path) -> list[str]:
    """What a page leads to inside the repository: its links, and its pictures in HTML."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    found = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r"\b(?:src|srcset|href)=\"([^\"]+)\"", text)
    return [target for target in found if not re.match(r"https?:|mailto:", target)]


def anchors(page: Path) -> set[str]:
    """The names under which a page's headings are reached, made as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#{1,6} (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_link_between_documents_leads_to_a_file_and_to_a_heading_of_it(project: Path) -> None:
    broken = []
    for page in pages(project):
        for target in links(page):
            name, _, anchor = target.partition("#")
            file = page.parent / name if name else page
            if not file.exists() or (anchor and anchor not in anchors(file)):
                broken.append(f"{page.relative_to(project)}: {target}")
    assert broken == []


def test_every_picture_is_shown_somewhere(project: Path) -> None:
    shown = {(page.parent / target).resolve() for page in pages(project) for target in links(page)}
    pictures = {path for path in (project / "docs").rglob("*") if path.suffix in {".png", ".svg"}}
    assert {str(path) for path in pictures - shown} == set()
