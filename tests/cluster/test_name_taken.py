"""A name that somebody else holds, or held."""

from fleet import wait_until


def test_a_newcomer_waits_until_the_lease_of_its_name_has_passed(workers, database):
    fleet = workers(1, seconds=60)
    with database.connect() as connection:
        ((holder,),) = connection.execute(
            "select incarnation from register_node('node-1', 'another host', 1, 'http://x', '1',"
            " array['task-00'], '8 s', 'another boot', '/lock', 1, 1)"
        ).fetchall()
        connection.execute(
            "select define_tasks(jsonb_build_array(jsonb_build_object('name', 'task-00', 'function', 'm:f',"
            " 'schedule', 'every hour', 'definition', '{}'::jsonb, 'hash', '1', 'revision', 0, 'paused', false,"
            " 'nextRunAt', now())))"
        )
        ((run,),) = connection.execute(
            "select run_id from start_run('task-00', 'node-1', %s,"
            " (select next_run_at from tasks), now() + interval '1 h')",
            [holder],
        ).fetchall()
        ((lease_end,),) = connection.execute("select lease_expires_at from nodes").fetchall()
        fleet.start(1)
        wait_until(lambda: "waiting for its lease to pass" in fleet.log(1), 20, "the wait")
        joined = wait_until(
            lambda: connection.execute(
                "select started_at from nodes where incarnation <> %s and state = 'live'", [holder]
            ).fetchone(),
            30,
            "its joining",
        )
        assert joined[0] > lease_end
        assert connection.execute("select status from runs where id = %s", [run]).fetchone() == ("lost",)
        told = connection.execute(
            "select event from events where channel = 'node_events' order by id"
        ).fetchall()
    assert told == [("joined",), ("dead",), ("joined",)]
    wait_until(fleet.running, 20, "its task")
