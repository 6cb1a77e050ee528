"""How few lines tell of however many refused requests."""

import random

from server.access.refused import AGAIN_SECONDS, KINDS_MAX, Refusal, Refusals


def refusal(peer: str = "10.0.0.4", outcome: str = "invalid_token: unknown") -> Refusal:
    return Refusal(outcome, None, peer)


def test_the_first_of_a_kind_is_told_at_once_and_the_rest_of_the_hour_as_a_number() -> None:
    refusals = Refusals()
    assert refusals.note(refusal(), "POST /withdraw", 0.0)
    assert [(line.target, line.outcome) for line in refusals.due(0.0)] == [
        ("POST /withdraw", "invalid_token: unknown")
    ]
    assert not any(refusals.note(refusal(), "POST /deposit", second) for second in range(1, 38))
    assert refusals.due(AGAIN_SECONDS - 1) == []
    (line,) = refusals.due(AGAIN_SECONDS)
    assert (line.count, line.outcome) == (37, "invalid_token: unknown (37 times)")
    assert refusals.due(3 * AGAIN_SECONDS) == []
    assert refusals.note(refusal(), "POST /withdraw", 3 * AGAIN_SECONDS), "silence forgets it"


def test_beyond_so_many_kinds_an_hour_what_comes_is_left_out_and_counted() -> None:
    refusals = Refusals()
    for number in range(KINDS_MAX + 5):
        refusals.note(refusal(f"10.0.{number}"), "GET /audit", 0.0)
    assert refusals.left_out == 5
    assert len(refusals.due(0.0)) == KINDS_MAX
    refusals.due(AGAIN_SECONDS)
    assert refusals.note(refusal("192.0.2.1"), "GET /audit", AGAIN_SECONDS), "there is room again"


def test_every_refusal_is_told_of_once_whatever_comes_when() -> None:
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    refusals, told, noted, now = Refusals(), 0, 0, 0.0
    for _ in range(3000):
        now += chance.expovariate(1 / 60)
        refusals.note(refusal(f"10.0.0.{chance.randrange(9)}"), "POST /withdraw", now)
        noted += 1
        told += sum(line.count for line in refusals.due(now))
    told += sum(line.count for line in refusals.due(now + AGAIN_SECONDS))
    assert told + refusals.left_out == noted, f"seed {seed}"
