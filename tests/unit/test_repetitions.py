"""A request that is repeated before its first has an answer: it waits for that, and not in the queue."""

import asyncio
from uuid import uuid4

import pytest

from server.money.postings import Posted, Wish
from server.money.refusals import IdempotencyConflictError, NotSentError, OutcomeUnknownError


def add(queue, *requests):
    for request in requests:
        queue.add(request)
    return list(requests)


@pytest.mark.parametrize("repetition", [{"request_id": uuid4()}, {"wish": Wish(key="k")}])
def test_repetitions_wait_outside_the_queue_and_get_the_answer_of_their_first(
    loop, queue, posting, repetition
):
    first, *twins = add(queue, *(posting(**repetition) for _ in range(1000)))
    assert queue.take() == [first]
    assert (queue.movements, queue.is_empty, queue.arrived.is_set()) == (999, False, False)
    posted = Posted("posted", 99, 7, False, first.request_id)
    first.answer.set_result([posted])
    loop.run_until_complete(asyncio.gather(*(twin.answer for twin in twins)))
    assert {tuple(twin.answer.result()) for twin in twins} == {(posted._replace(replayed=True),)}
    assert (queue.movements, queue.is_empty) == (0, True)
    assert queue.arrived.is_set()  # for whoever waits until the queue is empty


@pytest.mark.parametrize(
    ("key", "outcome", "is_replay"),
    [
        (None, "posted", True),
        (None, "insufficient_funds", False),
        (None, "user_not_found", False),
        ("k", "posted", True),
        ("k", "insufficient_funds", True),
        ("k", "user_not_found", True),
        ("k", "key_reused", False),
    ],
)
def test_a_repetition_is_a_replay_where_the_database_would_call_it_one(
    loop, queue, posting, key, outcome, is_replay
):
    request_id = uuid4()
    first, twin = add(queue, *(posting(wish=Wish(key=key), request_id=request_id) for _ in range(2)))
    first.answer.set_result([Posted(outcome, None, None, False, first.request_id)])
    (found,) = loop.run_until_complete(twin.answer)
    assert found == Posted(outcome, None, None, is_replay, first.request_id)


def test_when_the_first_has_no_outcome_one_repetition_takes_its_place_and_the_others_follow_it(
    loop, queue, posting
):
    first, *twins = add(queue, *(posting(wish=Wish(key="k")) for _ in range(100)))
    queue.take()
    first.fail(NotSentError())
    loop.run_until_complete(queue.arrived.wait())
    loop.run_until_complete(asyncio.sleep(0))
    assert queue.take() == twins[:1]
    assert queue.movements == 98


def test_lists_are_repetitions_only_if_every_request_id_is_the_same(queue, listing):
    one, other = listing(2), listing(2)
    other.request_ids[0] = one.request_ids[0]
    other.fingerprint = one.fingerprint
    add(queue, one, other)
    assert [queue.take(), queue.take()] == [[one], [other]]


@pytest.mark.parametrize(("key", "error"), [("k", IdempotencyConflictError), (None, OutcomeUnknownError)])
def test_a_repetition_out_of_time_is_not_told_that_nothing_happened(queue, posting, key, error):
    request_id = uuid4()
    _, twin = add(queue, *(posting(wish=Wish(key=key), request_id=request_id) for _ in range(2)))
    twin.expire(is_reachable=True)
    assert isinstance(twin.answer.exception(), error)


def test_behind_a_key_that_was_never_sent_one_is_told_what_its_first_was_told(loop, queue, posting):
    first, second = add(queue, *(posting(wish=Wish(key="k"), seconds=0.001) for _ in range(2)))
    queue.take()
    loop.run_until_complete(asyncio.sleep(0))
    queue.take()
    assert [type(one.answer.exception()) for one in (first, second)] == [NotSentError, NotSentError]


def test_an_answered_request_is_kept_by_nobody(loop, queue, posting):
    requests = add(queue, *(posting(n % 20, wish=Wish(key=str(n % 10))) for n in range(100)))
    while queue.take() or not queue.is_empty:
        for request in requests:
            request.fail(NotSentError())
        loop.run_until_complete(asyncio.sleep(0))
    assert (queue._first, queue._twins, queue.movements) == ({}, set(), 0)
