"""The wheel, as somebody gets it who has no checkout: installed, and run from an empty folder."""

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from service import Service, product_environment, service_settings

NOBODY = 65_534
# `env`, since setpriv itself still enters root's folders when it starts the program.
AS_NOBODY = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "env")
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", "var", "build", "dist", "*.egg-info", "__pycache__", ".*_cache"
)


def run(*argv: str, cwd: Path | None = None) -> str:
    done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, f"{argv}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def open_folder() -> Iterator[Path]:
    """A folder that every user can enter, which pytest's own are not."""
    folder = Path(tempfile.mkdtemp(prefix="ringfence-wheel-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def wheel(open_folder: Path) -> Path:
    """The wheel, built from a copy: a build leaves files behind, and reads what an earlier one left."""
    project = Path(__file__).resolve().parents[2]
    source = open_folder / "source"
    shutil.copytree(project, source, ignore=LEFT_OUT)
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(open_folder), ".", cwd=source)
    shutil.rmtree(source)
    (built,) = open_folder.glob("ringfence-*.whl")
    return built


@pytest.fixture(scope="module")
def installed(open_folder: Path, wheel: Path) -> Path:
    """The `ringfence` of an empty virtual environment into which the wheel was installed."""
    environment = open_folder / "environment"
    run(_python_for_everybody(), "-m", "venv", str(environment))
    run(
        str(environment / "bin/python"),
        "-m",
        "pip",
        "install",
        "-q",
        "--disable-pip-version-check",
        str(wheel),
    )
    return environment / "bin/ringfence"


def _python_for_everybody() -> str:
    """A Python that another user can run as well: one below /root is none."""
    own = str(Path(sys.executable).resolve())
    if os.geteuid() != 0:
        return own
    check = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))"
    for python in (own, "/usr/bin/python3"):
        tried = subprocess.run([*AS_NOBODY, python, "-c", check], capture_output=True, cwd="/", check=False)
        if tried.returncode == 0:
            return python
    return own


def test_the_wheel_carries_what_is_not_python(wheel: Path, project: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    for name in ("config.yaml", "supervisord.conf", "alembic/env.py"):
        assert f"server/_shipped/{name}" in names
    for folder in ("versions", "sql"):
        for file in (project / "alembic" / folder).glob("*.[ps][yq]*"):
            assert f"server/_shipped/alembic/{folder}/{file.name}" in names
    for file in (project / "server").rglob("*.sql"):
        assert str(file.relative_to(project)) in names
    assert not [name for name in names if name.startswith(("tests/", "alembic/", "benchmarks/"))]


def _serves_from_an_empty_folder(folder: Path, command: Path, project: Path, *prefix: str) -> None:
    settings = service_settings(instances=2)
    environment = product_environment(project)
    del environment["PYTHONPATH"]
    environment |= {
        "RINGFENCE_HTTP__PORT": str(settings["http"]["port"]),
        "RINGFENCE_CLUSTER__INSTANCES": "2",
        "HOME": str(folder),
    }
    service = Service(folder, [str(command)], settings, environment)
    (folder / "config.yaml").unlink()
    try:
        service.start(*prefix)
        assert service.is_ready()
        status, account = service.get("/users/1")
        assert (status, account) == (200, {"id": 1, "balance": 10_000})
        assert service.get("/tasks")[0] == 200
        assert service.process is not None
        os.kill(service.process.pid, 2)
        assert service.end() == 0, service.said()
        assert service.left() == {}
    finally:
        service.clean_up()


def test_it_serves_from_an_empty_folder(tmp_path: Path, installed: Path, project: Path) -> None:
    _serves_from_an_empty_folder(tmp_path, installed, project)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["var"]


@pytest.mark.skipif(
    os.geteuid() != 0, reason="only root can become somebody else; the other tests ran as a user"
)
def test_it_serves_for_an_ordinary_user(open_folder: Path, installed: Path, project: Path) -> None:
    home = open_folder / "home of nobody"
    home.mkdir(mode=0o700)
    os.chown(home, NOBODY, NOBODY)
    if subprocess.run(
        [*AS_NOBODY, str(installed), "--version"], capture_output=True, cwd="/", check=False
    ).returncode:
        pytest.skip("no Python here that an ordinary user can run")
    _serves_from_an_empty_folder(home, installed, project, *AS_NOBODY)
    assert {path.stat().st_uid for path in (home / "var").rglob("*")} == {NOBODY}
