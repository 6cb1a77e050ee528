"""A node below systemd: the socket that it is handed, what it tells, and the units themselves."""

import configparser
import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fleet import HERE, Fleet, children, wait_until
from service_manager import PlayedSystemd

from server.service_manager import ServiceManager, inherited_sockets
from server.settings import load
from server.supervised import stop_seconds

UNITS = Path(__file__).resolve().parents[2] / "deploy/systemd"
WATCHDOG_SECONDS = 1.5


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[PlayedSystemd]:
    played = PlayedSystemd(tmp_path)
    yield played
    played.close()


def start(systemd: PlayedSystemd, fleet: Fleet) -> None:
    """Starts node-1 of a fleet by systemd instead of by itself."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RINGFENCE_")}
    environment = kept | {
        "RINGFENCE_DATABASE__URL": fleet.url,
        "PYTHONPATH": os.pathsep.join([str(HERE.parent.parent), str(HERE)]),
    }
    systemd.start(
        *("serve", "--node", "1", "--config", str(fleet.config)),
        watchdog_seconds=WATCHDOG_SECONDS,
        environment=environment,
        log=fleet.folder / "node-1.log",
    )


def get(port: int, path: str) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        return int(answer.status)


def test_a_node_serves_the_socket_it_was_handed_and_tells_that_it_is_ready_lives_and_stops(
    fleet: Callable[..., Fleet], systemd: PlayedSystemd
) -> None:
    made = fleet({"job": {"function": "witness:work", "every": "1h", "first": "scheduled"}})
    start(systemd, made)
    assert systemd.process is not None
    # Before it is ready, whoever connects waits in the queue, and gets an answer.
    assert get(systemd.port, "/healthz") == 200
    ready = systemd.hear_until("READY")
    assert ready == {"READY": "1", "STATUS": "node-1 serves"}
    assert get(systemd.port, "/readyz") == 200
    for _ in range(3):
        systemd.hear_until("WATCHDOG", seconds_max=WATCHDOG_SECONDS * 4)
    # Its guardian, and so every job, is told of no socket and no manager.
    guardian = wait_until(lambda: children(systemd.process.pid), why="the guardian")[0]
    environment = Path(f"/proc/{guardian}/environ").read_bytes()
    assert (
        b"PYTHONPATH" in environment and b"NOTIFY_SOCKET" not in environment and b"LISTEN_" not in environment
    )
    held = [one.readlink() for one in Path(f"/proc/{guardian}/fd").iterdir()]
    assert Path(f"/proc/self/fd/{systemd.listener.fileno()}").readlink() not in held

    systemd.process.send_signal(signal.SIGTERM)
    stopping = systemd.hear_until("STOPPING")
    # As long as the drain may take: the unit's own limit may be shorter.
    assert int(stopping["EXTEND_TIMEOUT_USEC"]) == stop_seconds(load(str(made.config), {})) * 1_000_000
    assert systemd.process.wait(timeout=30) == 0, made.log(1)
    with socket.create_connection(("127.0.0.1", systemd.port), timeout=5):
        pass  # the socket is systemd's, and outlives the instance


def test_a_blocked_loop_shows_no_sign_of_life_and_a_freed_one_does_again(
    fleet: Callable[..., Fleet], systemd: PlayedSystemd, tmp_path: Path
) -> None:
    witness = tmp_path / "witness.jsonl"
    witness.touch()
    job = {"function": "witness:blocks_when_told", "every": "1h", "isolation": "loop", "timeout": "60s"}
    made = fleet({"job": job | {"params": {"path": str(witness), "seconds": 6}}}, settle=0.05, instances=1)
    start(systemd, made)
    systemd.hear_until("READY")
    systemd.hear_until("WATCHDOG")
    wait_until(lambda: '"job"' in str(get_running(systemd.port)), why="the job runs")
    Path(f"{witness}.go").touch()
    wait_until(lambda: "start" in witness.read_text(), why="the loop is blocked")
    with contextlib.suppress(AssertionError):  # what was told before
        while True:
            systemd.hear(0.01)
    with pytest.raises(AssertionError, match="nothing told"):
        systemd.hear(WATCHDOG_SECONDS * 1.5)
    systemd.hear_until("WATCHDOG", seconds_max=30)


def get_running(port: int) -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/runs?status=running", timeout=10) as answer:
        return bytes(answer.read())


def test_sockets_of_another_process_and_what_is_no_listener_are_left_alone() -> None:
    environment = {"LISTEN_PID": "1", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "x"}
    assert inherited_sockets(environment) == []
    assert environment == {}, "no child takes them for its own"
    for count in ("0", "", "many"):
        assert inherited_sockets({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": count}) == []


def test_what_is_told_goes_to_an_abstract_socket_as_well_and_to_nobody_without_one(tmp_path: Path) -> None:
    name = f"ringfence-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as hearing:
        hearing.bind(f"\0{name}")
        hearing.settimeout(5)
        environment = {"NOTIFY_SOCKET": f"@{name}", "WATCHDOG_USEC": "5000000", "WATCHDOG_PID": "1"}
        manager = ServiceManager.from_environment(environment)
        assert (environment, manager.watchdog_seconds) == ({}, None), "the watchdog of another process"
        manager.ready("here")
        assert hearing.recv(100) == b"READY=1\nSTATUS=here"
    manager.stopping(5)  # nobody hears it any more, and nothing breaks
    manager.close()
    ServiceManager.from_environment({}).ready("to nobody")


def units() -> dict[str, configparser.RawConfigParser]:
    found = {}
    for path in UNITS.iterdir():
        if path.suffix in {".service", ".socket", ".target"}:
            found[path.name] = configparser.RawConfigParser(strict=False)
            found[path.name].optionxform = str  # type: ignore[assignment,method-assign]
            found[path.name].read(path)
    return found


def test_the_units_agree_with_the_settings_and_with_what_a_node_does(project: Path) -> None:
    node, database = (
        units()["ringfence@.service"]["Service"],
        units()["ringfence-database.service"]["Service"],
    )
    defaults = load(str(project / "config.yaml"), {})
    listening = units()["ringfence.socket"]["Socket"]
    assert listening["ListenStream"] == f"{defaults.http.host}:{defaults.http.port}"
    assert listening["Backlog"] == str(defaults.http.backlog)
    assert node["Type"] == "notify" and node["Sockets"] == "ringfence.socket"
    assert node["RestartPreventExitStatus"] == "2" and node["Restart"] == "always"
    assert int(node["TimeoutStopSec"].removesuffix("s")) >= stop_seconds(defaults)
    assert node["OOMPolicy"] == "continue", "a job that is taken by the kernel stops no node"
    assert node["KillMode"] == "mixed", "jobs are the guardian's to end"
    assert database["KillSignal"] == "SIGINT"
    text = (UNITS / "ringfence@.service").read_text()
    assert f"RINGFENCE__INSTANCES={defaults.cluster.instances}\n" in text


@pytest.mark.parametrize("program", [program for program in ("systemd-analyze",) if shutil.which(program)])
def test_systemd_itself_finds_nothing_wrong_with_the_units(program: str, tmp_path: Path) -> None:
    for path in UNITS.iterdir():
        if path.suffix in {".service", ".socket", ".target"}:
            # It wants to see a program at the place that the unit names.
            text = path.read_text().replace("/opt/ringfence/bin/ringfence", sys.executable)
            (tmp_path / path.name).write_text(
                re.sub(r"^(User|Group)=ringfence$", r"\1=root", text, flags=re.MULTILINE)
            )
    files = [str(tmp_path / name.replace("@.", "@1.")) for name in units()]
    (tmp_path / "ringfence@1.service").symlink_to(tmp_path / "ringfence@.service")
    done = subprocess.run(
        [program, "verify", "--man=no", *files],
        capture_output=True,
        text=True,
        env=os.environ | {"SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
