"""Counts all primes up to a limit with a segmented sieve, and checks the count.

The sieve holds one segment at a time, so memory does not grow with the limit. At
every power of ten the count is compared with the published one: a wrong bit in a
processor or in this file does not pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import isqrt
from typing import TYPE_CHECKING, Any

from server.jobs.pace import MINIMUM_SECONDS, Pace

if TYPE_CHECKING:
    from server.cron.context import Context

SEGMENT_ODDS = 1 << 20
LIMIT_MAX = 10**10

# pi(10^k), the number of primes up to 10^k: OEIS A006880.
PRIMES_UP_TO = {
    10: 4,
    100: 25,
    1_000: 168,
    10_000: 1_229,
    100_000: 9_592,
    1_000_000: 78_498,
    10_000_000: 664_579,
    100_000_000: 5_761_455,
    1_000_000_000: 50_847_534,
    10_000_000_000: 455_052_511,
}


def sieve_primes(
    context: Context, minimum_seconds: float = MINIMUM_SECONDS, limit: int = 1_000_000_000
) -> dict[str, Any]:
    """Counts the primes up to `limit`.

    Raises ArithmeticError when a count is not the published one.
    """
    if not 10 <= limit <= LIMIT_MAX:
        raise ValueError(f"limit must be from 10 to {LIMIT_MAX}, got {limit}")
    pace = Pace(context, minimum_seconds)
    count, largest = 1, 2  # 2 is the one even prime; segments hold odd numbers alone
    verified: dict[str, int] = {}
    for low, odds in segments(limit, SEGMENT_ODDS):
        count += odds.count(1)
        last = odds.rfind(1)
        largest = low + 2 * last if last >= 0 else largest
        reached = min(low + 2 * len(odds) - 1, limit)
        if reached in PRIMES_UP_TO:
            if count != PRIMES_UP_TO[reached]:
                raise ArithmeticError(f"{count} primes up to {reached}, and not {PRIMES_UP_TO[reached]}")
            verified[str(reached)] = count
        pace.reached(reached, limit, f"{count} primes")
    pace.reached(limit, limit, f"{count} primes")
    return {"limit": limit, "primes": count, "largest": largest, "verified": verified}


def segments(limit: int, odds_max: int) -> Iterator[tuple[int, bytearray]]:
    """Segments of odd numbers up to `limit`: the first number, and 1 for each prime.

    Byte i stands for low + 2 i. A segment ends where a power of ten does, so that
    the counts there can be checked.
    """
    primes = small_primes(isqrt(limit))[1:]
    multiples = [prime * prime for prime in primes]  # the next odd multiple to strike out
    ends = [*(power for power in PRIMES_UP_TO if power < limit), limit]
    low = 1
    for end in ends:
        while low <= end:
            high = min(low + 2 * odds_max, end + 1)
            odds = bytearray(b"\1") * ((high - low + 1) // 2)
            if low == 1:
                odds[0] = 0
            for index, prime in enumerate(primes):
                if prime * prime >= high:
                    break
                multiple = multiples[index]
                if multiple < high:
                    first = (multiple - low) // 2
                    strikes = (len(odds) - 1 - first) // prime + 1
                    odds[first::prime] = bytes(strikes)
                    multiples[index] = multiple + 2 * prime * strikes
            yield low, odds
            low += 2 * len(odds)


def small_primes(limit: int) -> list[int]:
    """All primes up to a limit that fits into memory."""
    is_prime = bytearray(b"\1") * (limit + 1)
    is_prime[:2] = bytes(min(2, limit + 1))
    for number in range(2, isqrt(limit) + 1):
        if is_prime[number]:
            is_prime[number * number :: number] = bytes(len(range(number * number, limit + 1, number)))
    return [number for number in range(limit + 1) if is_prime[number]]
