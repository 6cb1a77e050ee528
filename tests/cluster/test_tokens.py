"""Tokens on a whole service: none starts without one, and a revoked one is refused everywhere."""

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import yaml
from fleet import Fleet, wait_until
from service import Service, product_environment, until

from server.access import administration
from server.access.administration import Wanted
from server.local_user import local_caller


def ask(port: int, path: str, token: str | None, method: str = "GET") -> int:
    """The status of an answer; 0 without one."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return 0


def settings(service: Service, **changes) -> None:
    """Changes sections of the configuration."""
    file = service.folder / "config.yaml"
    found = yaml.safe_load(file.read_text())
    for section, values in changes.items():
        found[section] = found.get(section, {}) | values
    file.write_text(yaml.safe_dump(found))


def test_a_whole_service_that_needs_tokens_from_the_first_to_the_last(service: Service) -> None:
    settings(service, http={"host": "0.0.0.0"})
    service.begin()
    assert service.end() == 2
    assert "http.host is 0.0.0.0, which other hosts may reach, and there is no token" in service.said()
    assert "ringfence db start && ringfence migrate && ringfence token create --scope admin" in service.said()

    assert service.run("db", "start").returncode == 0
    alone = service.run("serve")
    assert (alone.returncode, "there is no token" in alone.stderr) == (2, True), alone.stderr
    assert not service.run("token", "list").stdout.startswith("id")
    made = service.run("token", "create", "--scope", "admin", "--name", "first", "--expires", "1d")
    assert made.returncode == 0, made.stderr
    token = made.stdout.strip()
    assert token.startswith("rf_") and token not in made.stderr

    # On loopback from here on: what is reached from elsewhere has no place in a test.
    settings(service, http={"host": "127.0.0.1"}, security={"tokens": "required"})
    service.start()
    assert token not in service.said()
    for port in range(service.port, service.port + 3):
        assert ask(port, "/tasks", None) == ask(port, "/metrics", None) == 401
        assert ask(port, "/tasks", token) == ask(port, "/readyz", None) == 200

    # Commands take it from the environment or a file, and say what it lacks.
    assert "needs a token" in service.run("tasks").stderr
    file = service.folder / "token"
    file.write_text(token)
    assert service.run("tasks", "--token-file", str(file)).returncode == 0
    assert service.run("burst", "--requests", "10", "--token-file", str(file)).returncode == 0
    reader = json.loads(service.run("token", "create", "--scope", "read", "--json").stdout)
    service.environment["RINGFENCE_TOKEN"] = reader["token"]
    until(lambda: service.run("tasks").returncode == 0, "the new token is known")
    refused = service.run("pause", "nothing")
    assert (refused.returncode, "needs the scope operate" in refused.stderr) == (1, True)
    assert service.run("pause", "nothing", "--token-file", str(file)).returncode == 1
    told = service.run("audit", "--who", "first", "--since", "1h", "--token-file", str(file)).stdout
    (line,) = told.splitlines()
    assert "task.pause       nothing: unknown; token" in line and "first, from 127.0.0.1 at node-" in line
    # What is done on the spot needs none, and is recorded as the person's who did it.
    assert service.run("restart").returncode == 0
    me = json.loads(local_caller())["user"]
    found = json.loads(service.run("audit", "--who", me, "--json", "--token-file", str(file)).stdout)
    assert [(one["action"], one["outcome"]) for one in reversed(found["records"])] == [
        ("schema.migrate", "made"),
        ("database.start", "done"),
        ("token.create", "created"),
        ("service.start", "done"),
        ("token.create", "created"),
        ("service.restart", "begun"),
        ("service.restart", "done"),
    ]
    assert {(one["actorKind"], one["peer"]) for one in found["records"]} == {("user", "local")}

    listed = json.loads(service.run("token", "list", "--json").stdout)["tokens"]
    assert [(one["name"], one["scopes"], one["state"]) for one in listed] == [
        ("", ["read"], "valid"),
        ("first", ["admin"], "valid"),
    ]
    assert reader["token"] not in json.dumps(listed)
    plain = service.run("token", "list").stdout.splitlines()
    assert len(plain) == 3 and plain[2].split()[1:4] == ["first", "admin", "valid"]
    assert service.run("token", "revoke", f"rf_{reader['id']}").returncode == 0
    for port in range(service.port, service.port + 3):
        until(lambda port=port: ask(port, "/tasks", reader["token"]) == 401, "it is refused", 10)
    leaks = [
        path for path in (service.folder / "var").rglob("*.log") if token in path.read_text(errors="replace")
    ]
    assert leaks == []


@pytest.fixture
def locked(fleet, tmp_path: Path) -> Fleet:
    """Two nodes that need tokens, not started."""
    made = fleet({})
    found = yaml.safe_load(made.config.read_text())
    made.config.write_text(yaml.safe_dump(found | {"security": {"tokens": "required"}}))
    return made


def test_a_node_under_way_refuses_a_revoked_token_within_a_moment_also_when_it_hears_nothing(
    locked: Fleet, database
) -> None:
    made = administration.create(database.owner_url, Wanted(scopes=["read"]))
    locked.start(1, 2)
    locked.wait_ready()
    for deaf in (False, True):
        held = administration.create(database.owner_url, Wanted(scopes=["read"]))
        for number in (1, 2):
            wait_until(lambda n=number, t=held.token: ask(locked.port + n, "/nodes", t) == 200)
        if deaf:
            with database.connect_as_owner() as owner:
                owner.execute("alter table tokens disable trigger token_changed")
        administration.revoke(database.owner_url, held.id)
        began = time.monotonic()
        for number in (1, 2):
            wait_until(lambda n=number, t=held.token: ask(locked.port + n, "/nodes", t) == 401)
        print(f"refused everywhere after {time.monotonic() - began:.2f} s")
    assert ask(locked.port + 1, "/nodes", made.token) == 200


def test_a_node_whose_database_is_away_at_its_start_lets_nobody_in(locked: Fleet, database) -> None:
    made = administration.create(database.owner_url, Wanted(scopes=["admin"]))
    locked.url = "postgresql://ringfence@127.0.0.1:1/nowhere"  # nobody listens there
    locked.start(1)
    wait_until(lambda: ask(locked.port + 1, "/healthz", None) == 200)
    assert ask(locked.port + 1, "/nodes", made.token) == 503
    assert ask(locked.port + 1, "/nodes", None) == 401


def test_a_socket_that_others_reach_counts_though_the_settings_say_loopback(
    locked: Fleet, database, project: Path
) -> None:
    found = yaml.safe_load(locked.config.read_text())
    locked.config.write_text(yaml.safe_dump(found | {"security": {"tokens": "auto"}}))
    with socket.create_server(("0.0.0.0", 0)) as handed_over:
        node = subprocess.run(
            [sys.executable, "-m", "server", "serve", "--config", str(locked.config)],
            stdin=handed_over,
            env={**product_environment(project), "RINGFENCE_DATABASE__URL": database.application_url},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert node.returncode == 2
    assert "the node cannot go on" in node.stderr and "there is no token" in node.stderr
