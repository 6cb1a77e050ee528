"""The files for production: supervisord's runs as it stands, the container's agree with what they use."""

import configparser
import os
import re
import signal
import sys
from pathlib import Path

import yaml
from service import Service, processes_of, until
from terminal import read_until, start_in_terminal

from server.cli import configuration
from server.settings import load
from server.supervised import stop_seconds


def seconds(text: str) -> int:
    return int(text.removesuffix("s"))


def test_the_production_file_works_with_a_supervisord_of_ones_own(service: Service, project: Path) -> None:
    text = (project / "deploy/supervisord/supervisord.conf").read_text()
    for old, new in (
        ("/opt/ringfence/bin/ringfence", f"{sys.executable} -m server"),
        ("/etc/ringfence", str(service.folder)),
        ("/var/lib/ringfence", str(service.folder / "var")),
        ("/var/log/ringfence", str(service.folder / "log")),
        ("/run/ringfence", str(service.folder / "run")),
        ("user=ringfence\n", ""),
        ("127.0.0.1:8000", f"127.0.0.1:{service.port}"),
        ("numprocs=6", f"numprocs={service.instances}"),
    ):
        assert old in text
        text = text.replace(old, new)
    (service.folder / "supervisord.conf").write_text(text)
    for folder in ("log", "run"):
        (service.folder / folder).mkdir()
    pid, terminal = start_in_terminal(
        service, sys.executable, "-m", "supervisor.supervisord", "-c", "supervisord.conf"
    )
    try:
        until(service.is_ready, "the instances are ready")
        assert service.get("/users/1")[1] == {"id": 1, "balance": 10_000}
        assert (service.folder / "log/node-1.log").stat().st_size > 0
        os.kill(pid, signal.SIGTERM)
        read_until(terminal, "an end that is never shown")
        _, status = os.waitpid(pid, 0)
    finally:
        os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 0
    until(lambda: processes_of(service.folder) == {}, "everything has ended", 10)


def test_the_production_file_differs_from_the_shipped_one_in_places_logs_and_nothing_that_counts(
    project: Path,
) -> None:
    ours, shipped = configparser.RawConfigParser(), configparser.RawConfigParser()
    ours.read(project / "deploy/supervisord/supervisord.conf")
    shipped.read(project / "supervisord.conf")
    places = {"command", "directory", "stdout_logfile", "stdout_logfile_maxbytes", "stdout_logfile_backups"}
    for section in (configuration.NODES, configuration.POSTGRES):
        same = {key: value for key, value in shipped[section].items() if key not in places}
        assert {key: value for key, value in ours[section].items() if key not in places} == same


def test_the_image_is_built_of_the_lock_and_of_all_that_a_build_needs(project: Path) -> None:
    text = (project / "deploy/docker/Dockerfile").read_text()
    assert "--require-hashes -r requirements.lock" in text
    assert "--no-deps --no-build-isolation ." in text
    copied = set(" ".join(re.findall(r"^COPY ((?!--from).*) \./?\S*$", text, re.MULTILINE)).split())
    (shipped,) = re.findall(r"^SHIPPED = \((.*)\)$", (project / "setup.py").read_text(), re.MULTILINE)
    needed = {"setup.py", "pyproject.toml", "README.md", "server", *re.findall(r'"([^"]+)"', shipped)}
    assert needed <= copied
    kept = (project / "deploy/docker/Dockerfile.dockerignore").read_text().split()
    assert copied <= {line.removeprefix("!") for line in kept if line.startswith("!")}
    assert all((project / name).exists() for name in copied)
    assert re.search(r"^USER \d+:\d+$", text, re.MULTILINE), "a number, and not root"
    assert "STOPSIGNAL SIGTERM" in text


def test_the_settings_in_the_container_files_exist_and_its_grace_outlasts_a_drain(project: Path) -> None:
    compose = yaml.safe_load((project / "deploy/docker/compose.yaml").read_text())
    service = compose["services"]["ringfence"]
    image = re.findall(r"\b(RINGFENCE_\w+)=(\S+)", (project / "deploy/docker/Dockerfile").read_text())
    variables = dict(image) | service["environment"]
    chosen = load(
        str(project / "config.yaml"),
        {name: re.sub(r"\$\{.*?\}", "x", value) for name, value in variables.items()},
    )
    assert chosen.database.owner_url and chosen.http.host == "0.0.0.0"
    assert seconds(service["stop_grace_period"]) >= stop_seconds(chosen) + 20
    assert service["ports"] == [f"127.0.0.1:8000:{chosen.http.port}"], "loopback of the host alone"
    database = compose["services"]["postgres"]
    roles = (project / "deploy/patroni/roles.sql").read_text()
    for name in re.findall(r"\\getenv \w+ (\w+)", roles):
        assert name in database["environment"]
    assert (project / "deploy/docker" / "../patroni/roles.sql").resolve().is_file()
