"""The audit record beyond tasks: commands, its filters, and how long it is kept."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from tokens import make

from server import logs
from server.access import administration
from server.cli.recorded import LOG_FILE, Recorder, recorded
from server.errors import RingfenceError
from server.jobs.history import SQL
from server.local_user import local_caller
from server.postgres import migrations
from server.postgres.schema import newest_revision
from server.settings import Database, Settings

ANN = json.dumps({"user": "ann@db1", "name": "root"})
RECORDS = "select actor_kind, actor, actor_name, action, target, outcome, peer from audit order by id"


def records(database) -> list[tuple[str, ...]]:
    with database.connect() as connection:
        return [tuple(row) for row in connection.execute(RECORDS)]


def settings(folder: Path, url: str) -> Settings:
    return Settings(home=folder, source="test", database=Database(url=url), tasks={})


def add(
    database, *, days_ago: float, action: str = "task.run", actor: str = "5f0c9d2a71be", name: str = ""
) -> int:
    """A line of that age; its id."""
    with database.connect_as_owner() as owner:
        return owner.execute(
            """insert into audit (at, actor_kind, actor, actor_name, action, target, outcome, peer, node)
               values (clock_timestamp() - make_interval(secs => %s), 'token', %s, %s, %s, 'x', 'due', '', '')
               returning id""",
            [days_ago * 86_400, actor, name, action],
        ).fetchone()[0]


@pytest.mark.gen_test
async def test_the_record_is_read_by_who_what_and_when_page_by_page(service, database):
    old = add(database, days_ago=3, name="Ann Smith")
    paused = [add(database, days_ago=2, action="task.pause", actor="ann@db1") for _ in range(3)]
    new = add(database, days_ago=1, name="Ann Smith")
    day = datetime.now(UTC) - timedelta(days=1, hours=12)
    moment = day.strftime("%Y-%m-%dT%H:%M:%SZ")

    async def ids(query: str) -> list[int]:
        return [one["id"] for one in (await service.get(f"/audit?{query}"))["records"]]

    assert await ids("who=Ann%20Smith") == [new, old]
    assert await ids("who=5f0c9d2a71be&action=task.run") == [new, old]
    assert await ids("who=ann@db1&action=task.run") == []
    assert await ids("action=task.pause") == paused[::-1]
    assert await ids(f"since={moment}") == [new]
    assert await ids(f"until={moment}") == [*paused[::-1], old]
    first = await service.get("/audit?action=task.pause&limit=2")
    rest = await service.get(f"/audit?action=task.pause&limit=2&cursor={first['next']}")
    assert [one["id"] for one in first["records"] + rest["records"]] == paused[::-1]
    assert rest["next"] is None
    for wrong in ("who=", "who=%00", f"who={'x' * 101}", "action=a%20b", "since=yesterday", "whose=ann"):
        assert (await service.call("GET", f"/audit?{wrong}")).is_problem(422, "invalid_request"), wrong


def test_commands_are_recorded_with_the_user_of_the_operating_system_and_the_host(database, tmp_path):
    made = administration.create(database.owner_url, administration.Wanted(scopes=["read"]), ANN)
    administration.revoke(database.owner_url, made.id, ANN)
    here = settings(tmp_path, database.application_url)
    with recorded(here, "service.restart", "node-1"):
        pass
    with pytest.raises(RingfenceError), recorded(here, "service.scale", "from 6 to 9 instances"):
        raise RingfenceError("it does not come up")
    me = json.loads(local_caller())
    assert records(database) == [
        ("user", "ann@db1", "root", "token.create", made.id, "created", "local"),
        ("user", "ann@db1", "root", "token.revoke", made.id, "revoked", "local"),
        ("user", me["user"], me["name"], "service.restart", "node-1", "begun", "local"),
        ("user", me["user"], me["name"], "service.restart", "node-1", "done", "local"),
        ("user", me["user"], me["name"], "service.scale", "from 6 to 9 instances", "begun", "local"),
        ("user", me["user"], me["name"], "service.scale", "from 6 to 9 instances", "failed", "local"),
    ]
    assert not (tmp_path / "var/log" / LOG_FILE).exists()


def test_a_command_goes_on_without_the_record_says_so_and_writes_a_file(tmp_path, capsys):
    away = settings(tmp_path, "postgresql://nobody@127.0.0.1:1/nothing")
    done = []
    with recorded(away, "service.restart", "node-1"):
        done.append("restarted")
    assert done == ["restarted"]
    said = capsys.readouterr().err
    assert said.count("Not in the audit record") == 2 and "commands.log" in said
    lines = [json.loads(line) for line in (tmp_path / "var/log" / LOG_FILE).read_text().splitlines()]
    assert [(line["action"], line["outcome"]) for line in lines] == [
        ("service.restart", "begun"),
        ("service.restart", "done"),
    ]
    assert lines[0]["caller"] == json.loads(local_caller())


def test_migrations_are_recorded_with_who_made_them_and_the_way_back_keeps_the_record(
    database, tmp_path, capsys
):
    migrations.downgrade(database.owner_url, "0011", ANN)
    migrations.upgrade(database.owner_url, database.application_url, ANN)
    assert records(database) == [
        # The schema before had no other name for who is no token.
        ("role", "ann@db1", "root", "schema.migrate", "0011", f"back from {newest_revision()}", "local"),
        ("user", "ann@db1", "root", "schema.migrate", newest_revision(), "from 0011", "local"),
    ]
    # A database of the schema before: the command does its work all the same.
    migrations.downgrade(database.owner_url, "0011")
    Recorder(settings(tmp_path, database.application_url), "database.backup", "x").write("done")
    assert "the database's schema is older than this version" in capsys.readouterr().err
    assert "database.backup" in (tmp_path / "var/log" / LOG_FILE).read_text()
    assert len(records(database)) == 2


@pytest.mark.gen_test
async def test_a_change_of_the_log_level_is_recorded_and_possible_without_a_database(service, database):
    before = logs.level()
    try:
        answer = await service.call("PUT", "/log-level", {"level": "debug", "seconds": 600})
        assert answer.status == 200
        assert records(database) == [
            ("anonymous", "", "", "log.level", "node-1", "debug for 600 s", "127.0.0.1")
        ]
        await service.database.close()
        answer = await service.call("PUT", "/log-level", {"level": "warning"})
        assert (answer.status, logs.level()) == (200, "warning")
    finally:
        logs.set_level(before)
    assert len(records(database)) == 1


@pytest.mark.parametrize("action", ["task.run", "token.create", "access.refused", "", "null"])
def test_nobody_writes_by_hand_what_is_recorded_with_its_action(database, action):
    with database.connect() as connection, pytest.raises(psycopg.Error) as refused:
        connection.execute("select record_operation(nullif(%s, 'null'), 'x', 'due', null)", [action])
    assert refused.value.sqlstate == "22023"
    with database.connect() as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("select record_local('task.run', 'x', 'due', '{}')")


def test_a_line_is_kept_for_30_days_whoever_wants_it_gone_and_then_by_its_retention(database):
    ages = (0.0, 29.9, 30.1, 399.0, 401.0)
    ids = dict(zip(ages, [add(database, days_ago=age) for age in ages], strict=True))

    def left() -> list[int]:
        with database.connect() as connection:
            return [one for (one,) in connection.execute("select id from audit order by id")]

    with database.connect_as_owner() as owner:
        for age in (0.0, 29.9):
            with pytest.raises(psycopg.Error) as refused:
                owner.execute("delete from audit where id = %s", [ids[age]])
            assert refused.value.sqlstate == "RF403"
    with database.connect() as application:
        for keep, rows_max in (("29 days", 1), (None, 1), ("30 days", 0)):
            with pytest.raises(psycopg.errors.InvalidParameterValue):
                application.execute("select prune_audit(%s::interval, %s)", [keep, rows_max])
        for deleted in (1, 0):
            row = application.execute(SQL["prune_audit"], {"keep_seconds": 400 * 86_400, "rows_max": 9})
            assert row.fetchone()[0] == deleted
        assert left() == [ids[age] for age in ages[:4]]
        assert application.execute("select prune_audit('30 days', 1)").fetchone()[0] == 1
        assert application.execute("select prune_audit('30 days', 9)").fetchone()[0] == 1
    assert left() == [ids[0.0], ids[29.9]]


def test_the_history_job_prunes_the_record_too(database):
    from server.jobs.history import by_age
    from server.jobs.retention import Retention

    make(database, "read")
    add(database, days_ago=41)
    pieces = {piece.what: piece for piece in by_age(Retention(keep_audit_days=40), 100)}
    with database.connect() as application:
        piece = pieces["audit"]
        assert application.execute(SQL[piece.statement], piece.params).fetchone()[0] == 1
    assert len(records(database)) == 1
    with pytest.raises(ValueError, match="keep_audit_days must be 30 or more"):
        Retention(keep_audit_days=29)
