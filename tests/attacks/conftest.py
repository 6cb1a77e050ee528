"""The node that all attacks share."""

from collections.abc import Iterator

import pytest
from fleet import Fleet
from target import SETTINGS, Target

from server.process import raise_open_files_limit


@pytest.fixture(scope="session")
def target(lasting_database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """One node without tasks, and open files enough to attack it."""
    raise_open_files_limit()
    fleet = Fleet(tmp_path_factory.mktemp("attacked"), lasting_database.application_url, {})
    fleet.variables |= SETTINGS
    fleet.start(1)
    try:
        fleet.wait_ready()
        yield Target(fleet, lasting_database)
        assert "Traceback" not in fleet.log(1)
    finally:
        fleet.close()
