"""A live cluster keeps what the README and /openapi.json say: their own lines, and generated requests."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from readme_lines import CurlLine, curl_lines, shape
from service import Service, product_environment, service_settings, until

SEED = os.environ.get("RINGFENCE__SCHEMATHESIS_SEED", "20261128")
EXAMPLES_MIN = 200
HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """`ringfence up` with the tasks that ship, and two instances."""
    project = HERE.parent.parent
    folder = tmp_path_factory.mktemp("live")
    one = Service(folder, [sys.executable, "-m", "server"], service_settings(), product_environment(project))
    shutil.copy(project / "config.yaml", folder / "config.yaml")
    one.environment |= {
        "RINGFENCE_HTTP__PORT": str(one.port),
        "RINGFENCE_CLUSTER__INSTANCES": str(one.instances),
        "RINGFENCE_CLUSTER__DRAIN_SECONDS": "1",
    }
    try:
        one.start()
        yield one
    finally:
        one.clean_up()


# The README


def ask(live: Service, line: str) -> tuple[int, str]:
    """Runs a line in a shell, with the port of this service in the place of 8000."""
    curlrc = live.folder / ".curlrc"
    # -N follows a stream for good: a moment of it is enough.
    seconds = 2 if "-sN" in line else 20
    curlrc.write_text(f'max-time = {seconds}\nwrite-out = "%{{stderr}}status %{{http_code}}"\n')
    done = subprocess.run(
        ["bash", "-c", line.replace("127.0.0.1:8000", f"127.0.0.1:{live.port}")],
        cwd=live.folder,
        env={**os.environ, "CURL_HOME": str(live.folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    status = re.search(r"status (\d{3})", done.stderr)
    assert status, done
    return int(status[1]), done.stdout


def test_every_curl_line_of_the_readme_does_what_the_readme_says(live: Service, project: Path) -> None:
    # Who reads this types more slowly: its account is a second old when the past is asked for.
    opened = live.get("/users/1/entries")[1]["entries"][-1]["createdAt"]
    until(
        lambda: datetime.now(UTC) > datetime.fromisoformat(opened) + timedelta(seconds=1),
        "a second has passed",
    )
    # As the README makes it; an instance knows it within a moment.
    (live.folder / "my-token").write_text(live.run("token", "create", "--scope", "admin").stdout)
    with_token = 'curl -s http://127.0.0.1:8000/nodes -H "Authorization: Bearer $(cat my-token)"'
    until(lambda: ask(live, with_token)[0] == 200, "the token is known")
    text = (project / "README.md").read_text(encoding="utf-8")
    lines = [line for line in curl_lines(text) if "http://10." not in line.text]  # see test_second_host.py
    assert len(lines) >= 17
    for line in lines:
        status, text = ask(live, line.text)
        assert status in line.statuses, (line.text, status, text)
        if line.answer is not None:
            assert shape(json.loads(text)) == shape(line.answer), line.text
    assert sum(line.answer is not None for line in lines) >= 1
    assert frozenset({409}) in {line.statuses for line in lines}


def test_a_line_of_the_readme_that_says_something_else_is_found() -> None:
    text = '```\ncurl -s x\n```\n\nanswers 409 with\n\n```\ncurl -s y\ncurl -s z # 404\n```\n\n```\n{"a": 1}\n```\n'
    ok = frozenset(range(200, 300))
    assert list(curl_lines(text)) == [
        CurlLine("curl -s x", frozenset({409})),
        CurlLine("curl -s y", ok),
        CurlLine("curl -s z # 404", ok | {404}, {"a": 1}),
    ]


# Generated requests


def counted(live: Service) -> Counter[str]:
    """How many requests both instances have had on each route, by any of its methods."""
    found: Counter[str] = Counter()
    for number in (1, 2):
        text = subprocess.run(
            ["curl", "-s", f"http://127.0.0.1:{live.port + number}/metrics"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for labels, count in re.findall(r"ringfence_http_request_seconds_count\{(.*?)\} ([\d.e+]+)", text):
            route = re.search(r'route="([^"]*)"', labels)
            method = re.search(r'method="([^"]*)"', labels)
            found[f"{method[1]} {route[1]}"] += int(float(count))
    return found


@pytest.mark.slow
def test_schemathesis_finds_nothing_in_generated_requests_to_every_operation(live: Service) -> None:
    before = counted(live)
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(HERE / "schemathesis.toml"),
            "run", f"http://127.0.0.1:{live.port}/openapi.json", "--seed", SEED, "--checks", "all",
        ],
        cwd=live.folder,
        env={**live.environment, "SCHEMATHESIS_HOOKS": "contract_hooks", "PYTHONPATH": str(HERE)},
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )  # fmt: skip
    print(done.stdout)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]
    document = live.get("/openapi.json")[1]
    sent = counted(live) - before
    print(sorted(sent.items()))
    few = {
        (method, path): sent[f"{method.upper()} {path}"]
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        # Without an input there is one request that can be made.
        if "parameters" in operation or "requestBody" in operation
        if sent[f"{method.upper()} {path}"] < EXAMPLES_MIN
    }
    assert few == {}
    status, report = live.get("/ledger/check")
    assert (status, report["isSound"]) == (200, True)
