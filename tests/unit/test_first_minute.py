"""What a newcomer reads when the first `make run` can't go on: what is wrong, and what mends it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from server.cli import lock
from server.errors import DatabaseUnavailableError, RingfenceError
from server.postgres.binaries import run

# Stands for python3, and for the one of the virtual environment that it makes.
PYTHON = """#!/bin/sh
case "$*" in
    -V) echo "Python $FAKE_VERSION" ;;
    *version_info*) [ "$FAKE_VERSION" != 3.9.2 ] ;;
    *ensurepip*) [ -z "$FAKE_WITHOUT_VENV" ] ;;
    "-m venv "*) mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
    "-m pip install "*) echo "$FAKE_PIP"; exit 1 ;;
esac
"""
NOBODY = 65534
FULL = "Filesystem 1024-blocks Used Available Capacity Mounted on\ntmpfs 60000 60000 0 100% /here too"


@pytest.fixture
def checkout(project: Path, tmp_path: Path) -> Path:
    """What make looks at, in a folder with a blank in its name."""
    folder = tmp_path / "a checkout"
    folder.mkdir()
    for name in ("Makefile", "requirements.lock", "setup.py", "pyproject.toml"):
        shutil.copy(project / name, folder / name)
    return folder


def program(folder: Path, name: str, text: str) -> None:
    path = folder / "bin" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)


def make_run(checkout: Path, caller: dict[str, int] | None = None, **fakes: str) -> str:
    """What `make run` says on standard error; it must fail."""
    path = f"{checkout / 'bin'}:/usr/bin:/bin"
    environment = {"PATH": path, "FAKE_VERSION": "3.12.1"} | fakes
    done = subprocess.run(
        ["make", "run"],
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        **(caller or {}),
    )
    assert done.returncode == 2
    return done.stderr


def test_without_a_python_it_names_the_packages_to_install(checkout):
    said = make_run(checkout, PYTHON="python3.99")
    assert "python3.99 is not here: apt install python3 python3-venv" in said


def test_an_old_python_is_named_with_the_way_to_name_another(checkout):
    program(checkout, "python3", PYTHON)
    said = make_run(checkout, FAKE_VERSION="3.9.2")
    assert "Python 3.11 or later is needed, python3 is Python 3.9.2." in said
    assert "make run PYTHON=python3.12" in said


def test_debians_python_without_venv_names_the_package(checkout):
    program(checkout, "python3", PYTHON)
    said = make_run(checkout, FAKE_WITHOUT_VENV="yes")
    assert "python3 makes no virtual environments: apt install python3-venv" in said


def test_a_folder_of_somebody_else_is_told(checkout):
    # Root may write everywhere, so somebody else calls; who can't enter root's own folder for tests.
    with TemporaryDirectory() as name:
        folder = shutil.copytree(checkout, Path(name, "checkout"))
        os.chmod(name, 0o755)  # noqa: PTH101 a name
        folder.chmod(0o555)
        caller = {"user": NOBODY} if os.geteuid() == 0 else {}
        assert f"may not write into {folder}" in make_run(folder, caller)


@pytest.mark.parametrize(
    ("pip", "sentence"),
    [
        ("... [Errno -3] Temporary failure in name resolution", "no package index was reached"),
        ("ERROR: ... [Errno 28] No space left on device", "the disk is full"),
        ("ERROR: something that nobody foresaw", "the installation failed; the reason stands above"),
    ],
)
def test_a_failed_installation_ends_with_a_sentence_and_shows_what_pip_said(checkout, pip, sentence):
    program(checkout, "python3", PYTHON)
    said = make_run(checkout, FAKE_PIP=pip)
    assert pip in said
    assert f"make: {sentence}" in said


def test_a_disk_too_full_for_the_log_is_told_all_the_same(checkout):
    program(checkout, "python3", PYTHON)
    program(checkout, "df", f"#!/bin/sh\ncat <<'END'\n{FULL}\nEND\n")
    assert "make: the disk is full" in make_run(checkout, FAKE_PIP="")


def test_a_python_without_the_packages_is_told_to_make_install(project, tmp_path):
    done = subprocess.run(
        [sys.executable, "-S", "-c", "from server.cli import main; main()"],
        env={"PYTHONPATH": str(project)}, cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "is not installed for" in done.stderr and "make install" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_full_disk_under_the_database_is_told_with_what_mends_it():
    complaint = "echo 'FATAL: could not write to file: No space left on device' >&2; exit 1"
    with pytest.raises(DatabaseUnavailableError, match="The disk is full: make room there, or set `var`"):
        run(["sh", "-c", complaint], "making the database")


def test_a_var_that_can_not_be_written_is_told_with_what_mends_it(tmp_path):
    (tmp_path / "var").write_text("a file where a folder should be")
    with (
        pytest.raises(RingfenceError, match=r"set `var` in config\.yaml to another folder"),
        lock.held(tmp_path / "var", ""),
    ):
        pass
