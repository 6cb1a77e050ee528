"""The lease's arithmetic."""

from hypothesis import given
from hypothesis import strategies as st

from server.cluster.lease import Lease
from server.cron import claims
from server.cron.claims import OVERDUE_SECONDS, PLACE_SECONDS, Standing, may_start_at


@given(sent=st.floats(0, 1e9), ttl=st.floats(5, 3600), margin=st.floats(0.1, 2))
def test_the_hard_stop_lies_the_margin_before_the_end_and_the_soft_stop_before_that(sent, ttl, margin):
    lease = Lease(sent, ttl, margin)
    assert lease.soft_stop_at < lease.hard_stop_at < sent + ttl


def test_a_frozen_guardian_is_given_less_than_the_margin():
    lease = Lease(sent_at=100, ttl_seconds=15, margin_seconds=2)
    assert lease.hard_stop_at < lease.guardian_overdue_at < 100 + 15


def test_nothing_starts_from_the_soft_stop_on():
    lease = Lease(sent_at=100, ttl_seconds=15, margin_seconds=2)
    assert lease.allows_start(111.9)
    assert not lease.allows_start(112.0)


def standing(me: str, **changes) -> Standing:
    known = {
        "me": me,
        "owners": {"backup": "node-1"},
        "knowing": {"backup": ["node-1", "node-2", "node-3"]},
        "quiet_since": 0.0,
        "settled_at": {},
    }
    return Standing(**(known | changes))


def test_the_owner_may_start_a_task_as_soon_as_it_is_due():
    assert may_start_at("backup", 50.0, standing("node-1")) == 50.0


def test_others_wait_each_for_a_time_of_its_own():
    moments = sorted(may_start_at("backup", 50.0, standing(node)) for node in ("node-2", "node-3"))
    assert moments == [50.0 + OVERDUE_SECONDS, 50.0 + OVERDUE_SECONDS + PLACE_SECONDS]


def test_after_a_change_of_membership_the_owner_gets_its_time_again():
    late = may_start_at("backup", 50.0, standing("node-2", quiet_since=900.0))
    assert late is not None
    assert late >= 900.0 + OVERDUE_SECONDS


def test_an_owner_that_settles_gets_its_time_after_that():
    late = may_start_at("backup", 50.0, standing("node-2", settled_at={"node-1": 900.0, "node-2": 60.0}))
    assert late is not None
    assert late >= 900.0 + OVERDUE_SECONDS


SETTLING = {"node-1": 52.0, "node-2": 10.0, "node-3": 10.0}


def test_what_is_due_out_of_turn_does_not_wait_for_an_owner_that_settles():
    moments = sorted(
        may_start_at("backup", 50.0, standing(node, settled_at=SETTLING), out_of_turn=True)
        for node in ("node-2", "node-3")
    )
    assert moments[0] == 50.0
    assert moments[1] >= 52.0 + OVERDUE_SECONDS, "one takes its place, the others wait as ever"


def test_a_tick_waits_for_an_owner_that_settles():
    moments = [
        may_start_at("backup", 50.0, standing(node, settled_at=SETTLING)) for node in ("node-2", "node-3")
    ]
    assert min(moments) >= 52.0 + OVERDUE_SECONDS


def test_no_node_that_settles_itself_takes_the_place_of_one():
    settling = dict.fromkeys(SETTLING, 52.0)
    for node in ("node-2", "node-3"):
        moment = may_start_at("backup", 50.0, standing(node, settled_at=settling), out_of_turn=True)
        assert moment >= 52.0 + OVERDUE_SECONDS


def test_an_owner_that_has_settled_starts_what_is_due_out_of_turn_itself():
    settled = dict.fromkeys(SETTLING, 10.0)
    assert may_start_at("backup", 50.0, standing("node-1", settled_at=settled), out_of_turn=True) == 50.0
    for node in ("node-2", "node-3"):
        assert may_start_at("backup", 50.0, standing(node, settled_at=settled), out_of_turn=True) > 50.0


def test_a_node_that_does_not_know_a_task_never_claims_it():
    assert may_start_at("backup", 50.0, standing("node-9")) is None


def test_a_moment_that_nobody_needs_to_know_is_not_worked_out(monkeypatch):
    soon = may_start_at("backup", 50.0, standing("node-2"), until=900.0)
    assert soon == may_start_at("backup", 50.0, standing("node-2"))
    monkeypatch.setattr(claims, "preference", None)
    assert may_start_at("backup", 50.0, standing("node-2"), until=50.0 + OVERDUE_SECONDS) is None
    assert may_start_at("backup", 50.0, standing("node-1"), until=10.0) == 50.0  # the owner's is cheap
