"""One call with a batch of withdrawals, straight to a function of the database."""

import random
from collections.abc import Sequence
from itertools import accumulate
from time import perf_counter
from typing import Any

import psycopg

from benchmarks.apparatus.children import BenchmarkError
from benchmarks.sections.stage import AMOUNT
from server.money.request_ids import RequestIds
from server.postgres.statements import load

STATEMENTS = load("benchmarks.sections", "batches.sql")


class Batches:
    """Calls one of the functions over one connection, and times each call."""

    def __init__(self, connection: "psycopg.Connection[tuple[Any, ...]]", function: str) -> None:
        self._connection = connection
        self._statement = STATEMENTS[function]
        self._request_ids = RequestIds()

    def call(self, users: Sequence[int]) -> float:
        """Seconds for one batch of withdrawals, all of which must be posted.

        The arrays are text before the clock starts: an array that the driver has
        to write would be part of no server's work.
        """
        params = {
            "user_ids": _array(users),
            "amounts": _array([-AMOUNT] * len(users)),
            "request_ids": _array([self._request_ids.make() for _ in users]),
        }
        began = perf_counter()
        rows = self._connection.execute(self._statement, params, prepare=True).fetchall()
        seconds = perf_counter() - began
        posted = sum(row[1] == "posted" for row in rows)
        if posted != len(users):
            raise BenchmarkError(f"{posted:,} of a batch's {len(users):,} withdrawals were posted")
        return seconds


class Zipf:
    """Draws accounts so that the k-th most popular one comes up in proportion to 1/k."""

    def __init__(self, users: Sequence[int], seed: int) -> None:
        self._random = random.Random(seed)
        self._users = self._random.sample(users, len(users))
        self._weights = list(accumulate(1 / place for place in range(1, len(users) + 1)))

    def draw(self, count: int) -> list[int]:
        """Some accounts, popular ones again and again."""
        return self._random.choices(self._users, cum_weights=self._weights, k=count)


def _array(values: Sequence[object]) -> str:
    return "{" + ",".join(map(str, values)) + "}"
