"""The record of what operators did: with each action, whoever takes it, and never changed."""

import psycopg
import pytest
from tokens import bearer, make

from server.access import administration


async def records(service, headers=None):
    """The whole record, oldest first, without moments."""
    answer = await service.call("GET", "/audit?limit=1000", headers=headers)
    assert answer.status == 200, answer.body
    return [
        (one["actorKind"], one["actor"], one["actorName"], one["action"], one["target"], one["outcome"])
        for one in reversed(answer.json["records"])
    ]


@pytest.mark.gen_test
async def test_every_action_of_a_token_is_recorded_with_its_outcome_also_when_it_is_refused(
    guarded, database, cluster
):
    made = make(database, "operate", name="Ann")
    admin = make(database, "admin")
    await guarded.keyring.read()
    run_id = cluster.start("report", "node-1")
    for path in (
        "/tasks/backup/pause",
        "/tasks/backup/run",
        "/tasks/backup/resume",
        "/tasks/backup/run",
        "/tasks/nothing/pause",
        f"/runs/{run_id}/cancel",
        "/runs/99999/cancel",
    ):
        await guarded.call("POST", path, b"", bearer(made.token))
    administration.revoke(database.owner_url, made.id)
    ann = ("token", made.id, "Ann")
    found = await records(guarded, bearer(admin.token))
    assert [one for one in found if one[0] == "token"] == [
        (*ann, "task.pause", "backup", "paused"),
        (*ann, "task.run", "backup", "paused"),
        (*ann, "task.resume", "backup", "resumed"),
        (*ann, "task.run", "backup", "due"),
        (*ann, "task.pause", "nothing", "unknown"),
        (*ann, "run.cancel", str(run_id), "requested"),
        (*ann, "run.cancel", "99999", "unknown"),
    ]
    assert [one[2:] for one in found if one[0] == "role"] == [
        ("", "token.create", made.id, "created"),
        ("", "token.create", admin.id, "created"),
        ("", "token.revoke", made.id, "revoked"),
    ]
    page = (await guarded.call("GET", "/audit?limit=3", headers=bearer(admin.token))).json
    assert {(one["peer"], one["node"]) for one in page["records"][1:]} == {("127.0.0.1", "node-1")}
    rest = await guarded.call("GET", f"/audit?limit=3&cursor={page['next']}", headers=bearer(admin.token))
    ids = [one["id"] for one in page["records"] + rest.json["records"]]
    assert ids == sorted(set(ids), reverse=True) and len(ids) == 6
    reader = bearer(make(database, "read", "money", "operate").token)
    await guarded.keyring.read()
    assert (await guarded.call("GET", "/audit", headers=reader)).is_problem(403, "forbidden")


@pytest.mark.gen_test
async def test_where_no_token_is_needed_somebody_is_recorded_all_the_same(service, cluster):
    await service.call("POST", "/tasks/backup/pause", b"")
    assert await records(service) == [("anonymous", "", "", "task.pause", "backup", "paused")]
    answer = await service.get("/audit")
    assert (answer["records"][0]["peer"], answer["records"][0]["node"], answer["next"]) == (
        "127.0.0.1",
        "node-1",
        None,
    )


@pytest.mark.gen_test
async def test_who_calls_the_functions_by_psql_or_from_the_release_before_is_recorded_as_its_role(
    service, cluster
):
    with psycopg.connect(service.database.url, autocommit=True) as connection:
        role = connection.execute("select session_user::text").fetchone()[0]
        for call in (
            "run_task('backup')",
            "pause_task('backup')",
            "resume_task('backup', null)",
            "cancel_run(7)",
        ):
            connection.execute(f"select {call}")
    assert await records(service) == [
        ("role", role, "", "task.run", "backup", "due"),
        ("role", role, "", "task.pause", "backup", "paused"),
        ("role", role, "", "task.resume", "backup", "resumed"),
        ("role", role, "", "run.cancel", "7", "unknown"),
    ]


@pytest.mark.parametrize("change", ["update audit set actor = 'x'", "delete from audit", "truncate audit"])
def test_nobody_changes_the_record_not_even_its_owner(database, change):
    make(database, "read")
    with database.connect_as_owner() as owner, pytest.raises(psycopg.Error) as refused:
        owner.execute(change)
    assert refused.value.sqlstate == "RF403"


def test_an_action_that_is_undone_leaves_no_record(database, cluster):
    with psycopg.connect(database.application_url) as connection:
        connection.execute("select pause_task('backup')")
        connection.rollback()
    assert cluster.one("select count(*) from audit") == 0
    assert cluster.one("select paused from tasks where name = 'backup'") is False


@pytest.mark.parametrize(
    "call",
    [
        "create_token('0123456789ab', '', sha256('x'), array['admin'], null, null)",
        "revoke_token('0123456789ab')",
        "record_action('task.run', 'x', 'due', null)",
    ],
)
def test_the_services_own_role_can_neither_make_tokens_nor_forge_records(database, call):
    with database.connect() as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(f"select {call}")


@pytest.mark.parametrize(
    ("scopes", "user_id", "constraint"),
    [
        ("{}", "null", "token_scopes_known"),
        ("{root}", "null", "token_scopes_known"),
        ("{admin}", "1", "token_of_one_account_is_limited"),
    ],
)
def test_the_table_itself_refuses_a_token_that_cannot_be(database, scopes, user_id, constraint):
    call = f"select * from create_token('0123456789ab', '', sha256('x'), '{scopes}', {user_id}, null)"
    with database.connect_as_owner() as owner, pytest.raises(psycopg.errors.CheckViolation) as refused:
        owner.execute(call)
    assert refused.value.diag.constraint_name == constraint


def test_a_token_is_revoked_once_and_an_unknown_one_not_at_all(database):
    made = make(database, "read")
    assert [administration.revoke(database.owner_url, made.id) for _ in range(2)] == ["revoked", "already"]
    with pytest.raises(administration.TokenError, match="There is no token 000000000000"):
        administration.revoke(database.owner_url, "0" * 12)
