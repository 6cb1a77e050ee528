"""How long to wait before the next try: longer each time, and never the same for all who failed together.

Pure, but for chance, which a test can replace.
"""

import random
from collections.abc import Callable

FIRST_SECONDS = 0.05


class BackOff:
    """The pauses of one who tries until it succeeds; each is 50 to 100 % of a limit that doubles.

    Something that is made and breaks at once is no success, or a server that ends every
    session would be asked in a circle: what lasted for less than `seconds_max` leaves the
    pauses as long as they are.
    """

    def __init__(
        self,
        seconds_max: float,
        *,
        first_seconds: float = FIRST_SECONDS,
        chance: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._first_seconds = min(first_seconds, seconds_max)
        self._seconds_max = seconds_max
        self._chance = chance
        self._limit_seconds = self._first_seconds

    def pause(self) -> float:
        """Seconds until the next try."""
        seconds = self._limit_seconds * self._chance(0.5, 1.0)
        self._limit_seconds = min(2 * self._limit_seconds, self._seconds_max)
        return seconds

    def lasted(self, seconds: float) -> None:
        """What the last try made has lasted for so long; the next pauses are short again if that was long."""
        if seconds >= self._seconds_max:
            self._limit_seconds = self._first_seconds
