"""The queue before the batcher: what one batch takes, what has to wait, and what is refused."""

from time import monotonic
from uuid import uuid4

import pytest

from server.errors import DatabaseUnavailableError, OverloadedError
from server.money import waiting
from server.money.postings import Wish
from server.money.refusals import AccountBusyError, NotSentError
from server.money.waiting import BATCH_MOVEMENTS_MAX, LOCKED_PAUSE_SECONDS, QUEUE_MOVEMENTS_MAX


def add(queue, *requests):
    for request in requests:
        queue.add(request)
    return list(requests)


# What a batch takes


def test_a_batch_is_what_waits_in_its_order(queue, posting):
    added = add(queue, posting(1), posting(2), posting(1))
    assert queue.take() == added
    assert queue.is_empty
    assert not queue.arrived.is_set()


def test_a_batch_has_a_largest_size_and_the_rest_is_the_next(queue, posting):
    added = add(queue, *(posting() for _ in range(BATCH_MOVEMENTS_MAX + 1)))
    assert queue.take() == added[:-1]
    assert queue.arrived.is_set()
    assert queue.take() == added[-1:]


def test_a_request_id_that_is_in_the_batch_waits_for_the_next(queue, posting):
    request_id = uuid4()
    first, again, other = add(
        queue, posting(1, request_id=request_id), posting(2, request_id=request_id), posting()
    )
    assert queue.take() == [first, other]
    assert queue.take() == [again]


def test_a_key_that_is_in_the_batch_waits_for_the_next_and_another_clients_does_not(queue, posting):
    mine, yours = Wish(key="k", client="me"), Wish(key="k", client="you")
    first, again, other = add(queue, posting(1, wish=mine), posting(2, wish=mine), posting(1, wish=yours))
    assert queue.take() == [first, other]
    assert queue.take() == [again]


def test_who_was_dropped_keeps_its_request_id_from_nobody(queue, posting):
    request_id = uuid4()
    late, other = add(
        queue, posting(1, seconds=0.001, request_id=request_id), posting(2, request_id=request_id)
    )
    assert queue.take() == [other]
    assert late.answer.done()


def test_a_list_is_a_batch_of_its_own(queue, posting, listing):
    before, many, after = add(queue, posting(), listing(3), posting())
    assert [queue.take(), queue.take(), queue.take()] == [[before], [many], [after]]


def test_who_is_not_wanted_any_more_is_told_and_not_taken(queue, posting):
    gone, here = add(
        queue, posting(wish=Wish(is_wanted=lambda: False)), posting(wish=Wish(is_wanted=lambda: True))
    )
    assert queue.take() == [here]
    assert isinstance(gone.answer.exception(), NotSentError)


def test_what_may_have_been_done_is_sent_again_though_nobody_waits_for_it(queue, posting):
    (gone,) = add(queue, posting(wish=Wish(is_wanted=lambda: False)))
    gone.in_doubt = True
    assert queue.take() == [gone]


def test_who_is_out_of_time_is_told_and_not_taken(queue, posting):
    late, early = add(queue, posting(seconds=0.001), posting())
    assert queue.take() == [early]
    assert isinstance(late.answer.exception(), NotSentError)


def test_who_has_an_answer_is_not_taken(queue, posting):
    (answered,) = add(queue, posting())
    answered.fail(NotSentError())
    assert queue.take() == []
    assert isinstance(answered.answer.exception(), NotSentError)


def test_who_is_out_of_time_in_an_outage_is_told_of_it(queue, posting):
    queue.is_reachable = False
    (late,) = add(queue, posting(seconds=0.001))
    queue.take()
    assert type(late.answer.exception()) is DatabaseUnavailableError


# What is refused


def test_more_movements_than_the_limit_are_refused_lists_by_their_size(queue, posting, listing):
    add(queue, listing(QUEUE_MOVEMENTS_MAX - 1), posting())
    with pytest.raises(OverloadedError):
        queue.add(posting())
    queue.take()
    add(queue, posting())


def test_those_that_wait_for_a_locked_row_count_as_well(loop, queue, posting, listing):
    async def come_back() -> None:
        queue.come_back(listing(QUEUE_MOVEMENTS_MAX))
        with pytest.raises(OverloadedError):
            queue.add(posting())
        assert not queue.is_empty
        await queue.arrived.wait()

    loop.run_until_complete(come_back())
    assert queue.movements == QUEUE_MOVEMENTS_MAX
    assert len(queue.take()) == 1
    assert (queue.movements, queue.is_empty) == (0, True)


def test_a_queue_that_does_not_move_refuses(queue, posting, monkeypatch):
    add(queue, posting())
    now = monotonic() + waiting.QUEUE_SECONDS_MAX + 0.1
    monkeypatch.setattr(waiting, "monotonic", lambda: now)
    with pytest.raises(OverloadedError):
        queue.add(posting())


def test_one_that_has_waited_long_for_a_locked_row_does_not_close_the_queue(
    loop, queue, posting, monkeypatch
):
    (stuck,) = add(queue, posting())
    queue.take()
    now = monotonic() + waiting.QUEUE_SECONDS_MAX + 0.1
    monkeypatch.setattr(waiting, "monotonic", lambda: now)

    async def come_back() -> None:
        queue.come_back(stuck)
        await queue.arrived.wait()

    loop.run_until_complete(come_back())
    (other,) = add(queue, posting(2, seconds=600))
    assert stuck.is_locked
    assert other in queue


def test_who_waits_for_a_locked_row_until_its_deadline_is_told_so(loop, queue, posting):
    stuck = posting(7, seconds=LOCKED_PAUSE_SECONDS / 2)

    async def come_back() -> None:
        queue.come_back(stuck)
        await queue.arrived.wait()

    loop.run_until_complete(come_back())
    assert queue.take() == []
    assert isinstance(stuck.answer.exception(), AccountBusyError)
