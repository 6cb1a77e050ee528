"""Estimates pi from points in a square, with an error that it states itself.

Plain random points need a hundred times more of them for one more digit. These come
from a sequence that fills the square evenly (R2, an additive recurrence on the plastic
number), so the error falls nearly with the number of points. An even sequence has no
standard error of its own: it is run many times, each from another random place, and
the scatter of the results is the error of their mean.
"""

from __future__ import annotations

from math import pi, sqrt
from random import Random
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

from server.jobs.pace import MINIMUM_SECONDS, Pace

if TYPE_CHECKING:
    from server.cron.context import Context

REPLICATES_MAX = 10_000
CHUNK_POINTS = 100_000

PLASTIC_NUMBER = 1.32471795724474602596
STEP_X = 1 / PLASTIC_NUMBER
STEP_Y = 1 / PLASTIC_NUMBER**2


def estimate_pi(
    context: Context,
    minimum_seconds: float = MINIMUM_SECONDS,
    points: int = 500_000,
    replicates: int = 32,
    seed: int | None = None,
) -> dict[str, Any]:
    """`replicates` estimates from `points` points each, and their mean.

    seed: of the random starts; the run's id when none is given, so that every run
        is another sample and can still be repeated.
    """
    if points < 1 or not 2 <= replicates <= REPLICATES_MAX:
        raise ValueError(f"points must be 1 or more and replicates from 2 to {REPLICATES_MAX}")
    seed = context.run_id if seed is None else seed
    generator = Random(seed)  # noqa: S311 a sample, no secret
    pace = Pace(context, minimum_seconds)
    total = points * replicates
    estimates: list[float] = []
    for replicate in range(replicates):
        point = (generator.random(), generator.random())
        hits = 0
        for begun in range(0, points, CHUNK_POINTS):
            count = min(CHUNK_POINTS, points - begun)
            inside, point = count_inside(point, count)
            hits += inside
            pace.reached(replicate * points + begun + count, total, _message(estimates))
        estimates.append(4 * hits / points)
    estimate = fmean(estimates)
    error = standard_error(estimates)
    return {
        "estimate": estimate,
        "standardError": error,
        "deviation": estimate - pi,
        "deviationInErrors": (estimate - pi) / error if error > 0 else None,
        "plainStandardError": 4 * sqrt(pi / 4 * (1 - pi / 4) / total),
        "samples": total,
        "replicates": replicates,
        "seed": seed,
    }


def count_inside(point: tuple[float, float], count: int) -> tuple[int, tuple[float, float]]:
    """How many of the next points lie inside the quarter circle, and where the sequence stands."""
    x, y = point
    inside = 0
    for _ in range(count):
        x += STEP_X
        if x >= 1.0:
            x -= 1.0
        y += STEP_Y
        if y >= 1.0:
            y -= 1.0
        if x * x + y * y < 1.0:
            inside += 1
    return inside, (x, y)


def standard_error(estimates: list[float]) -> float:
    """The standard error of the mean of independent estimates."""
    return stdev(estimates) / sqrt(len(estimates))


def _message(estimates: list[float]) -> str:
    if len(estimates) < 2:
        return "first estimates"
    return f"pi = {fmean(estimates):.7f} with a standard error of {standard_error(estimates):.1g}"
