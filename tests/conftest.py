"""A real PostgreSQL for every test that touches SQL.

RINGFENCE__TEST_SERVER names a server and a superuser on it, such as
`postgresql://postgres@127.0.0.1:5432/postgres`; without it the embedded one is
started in a temporary folder for the whole session. RINGFENCE__TEST_POOLER names a pooler
before it, such as `host=/tmp/x port=6432`: then the product goes through that, and the tests
of `test_pooler_*` run, too. (Two underscores: it is no setting.)
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from urllib.parse import quote

import hypothesis
import psycopg
import pytest
from psycopg import conninfo, sql

from server.postgres import migrations
from server.postgres.embedded import EmbeddedServer

OWNER = "ringfence_owner"
APPLICATION = "ringfence"
POOLER = os.environ.get("RINGFENCE__TEST_POOLER", "")
collect_ignore_glob = [] if POOLER else ["*/test_pooler_*"]
_numbers = count(1)

# How long an example takes is the machine's affair: on a busy one any may be the slow one.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")


@dataclass(frozen=True)
class TestDatabase:
    """One database, migrated, with the two roles that the product uses.

    application_url: the product's, through the pooler if there is one. direct_url: past it.
    """

    __test__ = False

    name: str
    application_url: str
    owner_url: str
    direct_url: str

    def connect(self) -> "psycopg.Connection[tuple[object, ...]]":
        """A connection of the application's role; each statement commits by itself."""
        return psycopg.connect(self.direct_url, autocommit=True)

    def connect_as_owner(self) -> "psycopg.Connection[tuple[object, ...]]":
        """A connection of the role that owns the tables; each statement commits by itself."""
        return psycopg.connect(self.owner_url, autocommit=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of one file that start many processes come one after the other, also in several workers.

    They wait most of the time, so that two workers (`make test`) take half as long as one.
    """
    for item in items:
        file = item.path.relative_to(Path(__file__).parent)
        if file.parts[0] in {"chaos", "cluster"}:
            item.add_marker(pytest.mark.xdist_group(str(file)))
        elif file.parts[0] == "browser":  # they share one cluster and one browser
            item.add_marker(pytest.mark.xdist_group("browser"))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Writes down which tests failed, for CI (.ci/run), where RINGFENCE__FAILED names a file."""
    path = os.environ.get("RINGFENCE__FAILED")
    if path and report.failed:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(f"{report.nodeid}\n")


def url_for(server: str, **changes: str) -> str:
    """The server's URL with another database, user or options."""
    parts = {key: str(value) for key, value in conninfo.conninfo_to_dict(server).items()} | changes
    return "postgresql:///?" + "&".join(f"{key}={quote(value, safe='')}" for key, value in parts.items())


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a superuser on a running PostgreSQL."""
    given = os.environ.get("RINGFENCE__TEST_SERVER")
    if given:
        yield given
        return
    embedded = EmbeddedServer(tmp_path_factory.mktemp("postgres"))
    embedded.start()
    try:
        yield embedded.superuser_url
    finally:
        embedded.stop()


@pytest.fixture(scope="session")
def template(server: str) -> Iterator[str]:
    """A migrated database that others are copied from."""
    name = f"ringfence_template_{os.getpid()}"
    with psycopg.connect(server, autocommit=True) as connection:
        # Another worker may make them at the same moment.
        connection.execute("select pg_advisory_lock(hashtext('ringfence tests'))")
        for role, login in ((OWNER, "nologin"), (APPLICATION, "login")):
            if not connection.execute("select 1 from pg_roles where rolname = %s", [role]).fetchone():
                connection.execute(sql.SQL("create role {} " + login).format(sql.Identifier(role)))
        connection.execute(
            sql.SQL("create database {} owner {}").format(sql.Identifier(name), sql.Identifier(OWNER))
        )
    migrations.upgrade(
        url_for(server, dbname=name, options=f"-c role={OWNER}"),
        url_for(server, dbname=name, user=APPLICATION),
    )
    yield name
    _drop(server, name)


@pytest.fixture
def empty_database(server: str, template: str) -> Iterator[TestDatabase]:
    """A database without any schema; `template` made the roles."""
    yield from _database(server, "template0")


@pytest.fixture
def database(server: str, template: str) -> Iterator[TestDatabase]:
    """A migrated database of the test's own: account 1 with 10,000, and nothing else."""
    yield from _database(server, template)


@pytest.fixture(scope="session")
def lasting_database(server: str, template: str) -> Iterator[TestDatabase]:
    """As `database`, for one service that many tests share."""
    yield from _database(server, template)


@pytest.fixture(scope="package")
def database_of_the_package(server: str, template: str) -> Iterator[TestDatabase]:
    """As `database`, for all tests of one package."""
    yield from _database(server, template)


def _database(server: str, origin: str) -> Iterator[TestDatabase]:
    name = f"ringfence_test_{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(
            sql.SQL("create database {} template {} owner {}").format(
                sql.Identifier(name), sql.Identifier(origin), sql.Identifier(OWNER)
            )
        )
    direct_url = url_for(server, dbname=name, user=APPLICATION)
    pooler = {key: str(value) for key, value in conninfo.conninfo_to_dict(POOLER).items()}
    yield TestDatabase(
        name,
        url_for(direct_url, **pooler),
        url_for(server, dbname=name, options=f"-c role={OWNER}"),
        direct_url,
    )
    _drop(server, name)


def _drop(server: str, name: str) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))


@pytest.fixture
def project() -> Path:
    """The top of the checkout."""
    return Path(__file__).resolve().parent.parent
