"""What the chaos tests share: a service of six instances that is there to be broken."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from service import Service, product_environment, service_settings


@pytest.fixture
def service(tmp_path: Path, project: Path) -> Iterator[Service]:
    """A running service of six instances; nothing of it is left after the test."""
    one = Service(
        tmp_path,
        [sys.executable, "-m", "server"],
        service_settings(instances=6),
        product_environment(project),
    )
    one.start()
    yield one
    one.clean_up()
