"""How often a task should succeed: what its last success is measured by.

Pure: `now` is an argument.
"""

from datetime import datetime
from itertools import pairwise

from server.cron.schedule import Every, Schedule

TICKS_LOOKED_AT = 8  # a task of working days has its weekend among them


def longest_gap_seconds(schedule: Schedule, now: datetime) -> float:
    """The longest time between two of the next TICKS_LOOKED_AT ticks."""
    if isinstance(schedule, Every):
        return schedule.seconds
    ticks = [now]
    for _ in range(TICKS_LOOKED_AT):
        ticks.append(schedule.following(ticks[-1], ticks[-1]))
    # The first gap begins at `now`, which is no tick.
    return max((later - earlier).total_seconds() for earlier, later in pairwise(ticks[1:]))
