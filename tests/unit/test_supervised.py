"""Whether supervisord waits as long as a node drains, with a stand-in that answers as supervisord does."""

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from xmlrpc.server import SimpleXMLRPCServer

import pytest

from server.errors import ConfigurationError
from server.settings import Cluster, Settings
from server.supervised import fit_drain, stop_seconds

Environment = dict[str, str]


def settings(drain_seconds: float) -> Settings:
    cluster = Cluster.model_validate({"drain_seconds": drain_seconds})
    return Settings(home=Path("/"), source="/etc/ringfence/config.yaml", cluster=cluster)


@pytest.fixture
def supervised() -> Iterator[Callable[..., Environment]]:
    """The environment of node-2, below a supervisord that waits for so many seconds."""
    servers: list[SimpleXMLRPCServer] = []

    def make(stop_wait_seconds: int, **more: str) -> Environment:
        server = SimpleXMLRPCServer(("127.0.0.1", 0), logRequests=False)
        programs = [
            {"group": "postgres", "name": "postgres", "stopwaitsecs": 5},
            {"group": "node", "name": "node-1", "stopwaitsecs": 3},
            {"group": "node", "name": "node-2", "stopwaitsecs": stop_wait_seconds},
        ]
        server.register_function(lambda: programs, "supervisor.getAllConfigInfo")
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        servers.append(server)
        return {
            "SUPERVISOR_ENABLED": "1",
            "SUPERVISOR_SERVER_URL": f"http://127.0.0.1:{server.server_address[1]}",
            "SUPERVISOR_GROUP_NAME": "node",
            "SUPERVISOR_PROCESS_NAME": "node-2",
        } | more

    yield make
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_drain_that_supervisord_waits_for_stays_as_it_is(supervised: Callable[..., Environment]) -> None:
    assert stop_seconds(settings(20.5)) == 31
    assert fit_drain(settings(20.5), supervised(31)) == settings(20.5)


def test_a_supervisord_that_would_kill_a_draining_node_is_refused_with_both_figures(
    supervised: Callable[..., Environment],
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        fit_drain(settings(60), supervised(30))
    said = str(caught.value)
    assert "30 s after it told it to stop (stopwaitsecs)" in said
    assert "cluster.drain_seconds of 60 it may take 70 s" in said
    assert "stopwaitsecs=70" in said
    assert "cluster.drain_seconds to 20 or less in /etc/ringfence/config.yaml" in said


def test_below_up_a_drain_that_changed_meanwhile_stays_as_long_as_it_was(
    supervised: Callable[..., Environment],
) -> None:
    fitting = fit_drain(settings(60), supervised(30, RINGFENCE__INSTANCES="6"))
    assert fitting.cluster.drain_seconds == 20
    assert stop_seconds(fitting) == 30


def test_without_supervisord_any_drain_will_do() -> None:
    assert fit_drain(settings(600), {}) == settings(600)


def test_a_supervisord_that_cannot_be_asked_keeps_no_node_from_serving(
    supervised: Callable[..., Environment], tmp_path: Path
) -> None:
    for url in ("http://127.0.0.1:1", f"unix://{tmp_path}/nothing.sock"):
        assert fit_drain(settings(60), supervised(30) | {"SUPERVISOR_SERVER_URL": url}) == settings(60)
    without_url = {"SUPERVISOR_ENABLED": "1", "PATH": os.defpath}
    assert fit_drain(settings(60), without_url) == settings(60)
