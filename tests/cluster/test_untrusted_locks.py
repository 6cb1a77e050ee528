"""`proof_of_death: false`: file locks prove nothing, to nobody."""

import signal

from fleet import wait_until


def test_without_proof_of_death_a_restarted_node_waits_for_the_lease_of_the_killed_one(fleet, database):
    made = fleet({}, proof_of_death=False)
    made.start(1)
    made.wait_ready()

    def lease() -> tuple:
        with database.connect() as connection:
            query = "select incarnation, lease_expires_at from nodes where name = 'node-1'"
            return connection.execute(query).fetchone() or (None, None)

    before = wait_until(lambda: lease() if lease()[0] else None, 20, "membership")[0]
    made.signal(1, signal.SIGKILL)
    made.wait_for_end(1)
    _, expired_at = lease()
    made.start(1)
    wait_until(lambda: lease()[0] > before, 30, "another incarnation")
    with database.connect() as connection:
        started_at = connection.execute("select started_at from nodes where name = 'node-1'").fetchone()[0]
    assert started_at > expired_at
    assert "proven dead" not in made.log(1)
