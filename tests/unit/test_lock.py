"""requirements.lock: what the shipped set-up installs is what setup.py allows, whole, and by hash."""

import re
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# What the service is shipped for; the markers of the lock must give each of them everything.
PLACES = [
    {"python_version": version, "python_full_version": f"{version}.1", "platform_machine": machine}
    | {"sys_platform": "linux", "platform_system": "Linux", "implementation_name": "cpython"}
    | {"platform_python_implementation": "CPython", "os_name": "posix", "extra": ""}
    for version in ("3.11", "3.12", "3.13")
    for machine in ("x86_64", "aarch64")
]


@pytest.fixture(scope="module")
def text() -> str:
    return (Path(__file__).resolve().parents[2] / "requirements.lock").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def locked(text: str) -> dict[str, list[Requirement]]:
    """The pins by their name; one may have several, for different places."""
    found: dict[str, list[Requirement]] = {}
    for line in re.findall(r"^([a-z0-9].*?) \\$", text, re.MULTILINE):
        pin = Requirement(line)
        found.setdefault(canonicalize_name(pin.name), []).append(pin)
    return found


def version_at(locked: dict[str, list[Requirement]], name: str, place: dict[str, str]) -> str:
    """The version that a place gets; empty if it gets none."""
    for pin in locked.get(canonicalize_name(name), []):
        if pin.marker is None or pin.marker.evaluate(place):
            return next(iter(pin.specifier)).version
    return ""


def test_every_line_is_one_version_with_hashes_and_no_index_is_named(text: str) -> None:
    blocks = re.split(r"\n(?=\S)", text.strip())
    pins = [block for block in blocks if not block.startswith("#")]
    assert len(pins) > 20
    for pin in pins:
        first, *hashes = pin.replace("\\\n", "\n").splitlines()
        assert re.fullmatch(r"[a-z0-9-]+==[\w.]+( ; .*)?", first.strip()), first
        assert hashes and all(re.fullmatch(r"\s*--hash=sha256:[0-9a-f]{64}\s*", one) for one in hashes), first
    assert "://" not in text and "--index" not in text and "--find-links" not in text


@pytest.mark.parametrize(
    "place", PLACES, ids=lambda place: f"{place['python_version']}-{place['platform_machine']}"
)
def test_each_place_gets_every_dependency_within_the_ranges_of_setup_py(
    locked: dict[str, list[Requirement]], place: dict[str, str], project: Path
) -> None:
    (block,) = re.findall(r"install_requires=\[(.*?)\n    \]", (project / "setup.py").read_text(), re.DOTALL)
    wanted = [Requirement(one) for one in re.findall(r'^\s*"(.*)",', block, re.MULTILINE)]
    assert len(wanted) > 10
    for one in wanted:
        if one.marker is None or one.marker.evaluate(place):
            version = version_at(locked, one.name, place)
            assert version and one.specifier.contains(version), (
                f"{one} against {version or 'nothing'}: make lock"
            )
    assert version_at(locked, "setuptools", place), "or a build would fetch one that nobody locked"


def test_what_the_dependencies_need_themselves_is_locked_too(locked: dict[str, list[Requirement]]) -> None:
    place = PLACES[0]
    todo, seen = [("ringfence", frozenset[str]())], set()
    while todo:
        name, extras = todo.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        for text in metadata.requires(name) or []:
            one = Requirement(text)
            if one.marker and not any(
                one.marker.evaluate(place | {"extra": extra}) for extra in extras | {""}
            ):
                continue
            version = version_at(locked, one.name, place)
            assert version, f"{name} needs {text}"
            assert one.specifier.contains(version, prereleases=True), (
                f"{name} needs {text}, locked is {version}"
            )
            todo.append((canonicalize_name(one.name), frozenset(one.extras)))
    assert len(seen) > 20


def test_make_installs_the_lock_by_hash_and_the_package_without_anything_else(project: Path) -> None:
    text = (project / "Makefile").read_text()
    assert "--require-hashes --requirement $(LOCK)" in text
    assert "--no-deps --no-build-isolation --editable ." in text
    assert re.search(r"^\$\(INSTALLED\): .*\$\(LOCK\)", text, re.MULTILINE), (
        "a new lock is installed by the next start"
    )
