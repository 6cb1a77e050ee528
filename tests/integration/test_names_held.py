"""`ringfence up` and names that instances elsewhere hold, or held."""

import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from server.cli.names_held import refuse_held_names
from server.errors import RingfenceError
from server.settings import Settings
from server.settings.sections import Cluster, Database


@pytest.fixture
def owner(database) -> Iterator["psycopg.Connection[tuple[object, ...]]"]:
    with database.connect_as_owner() as connection:
        yield connection


def settings(url: str | None) -> Settings:
    cluster = Cluster(instances=2, heartbeat="100ms")
    return Settings(home=Path.cwd(), source="test", database=Database(url=url), cluster=cluster)


def register(owner, name: str) -> None:
    owner.execute(
        "select register_node(%s, 'host-1', 1, 'http://x', '1', array['task'], '15 s', 'boot', '/lock', 1, 1)",
        [name],
    )


def renew(owner) -> None:
    owner.execute("update nodes set lease_expires_at = clock_timestamp() + interval '15 s'")


def test_a_name_whose_lease_is_renewed_elsewhere_is_refused_with_its_host(database, owner):
    register(owner, "node-2")
    with pytest.raises(RingfenceError, match=r"node-2 on host-1.*serve --node 7"):
        refuse_held_names(settings(database.application_url), lambda _: renew(owner))


def test_a_name_is_free_whose_holder_died_a_moment_ago(database, owner):
    register(owner, "node-2")
    refuse_held_names(settings(database.application_url), time.sleep)


def test_names_beyond_those_that_are_started_here_do_not_matter(database, owner):
    register(owner, "node-3")
    refuse_held_names(settings(database.application_url), lambda _: renew(owner))


def test_a_database_that_is_empty_or_away_refuses_nothing(empty_database):
    for url in (empty_database.application_url, "postgresql://ringfence@127.0.0.1:1/nowhere", None):
        refuse_held_names(settings(url), time.sleep)
