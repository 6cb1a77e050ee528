"""The moments at which a cron expression is met on the clocks of one time zone.

cronsim finds matching wall times; what a wall time means on the days when the
clocks change is decided here (cronsim's own rule loses ticks near changes of
half an hour, in Lord Howe, and has none for expressions with seconds):

    minute or hour begins with `*`   every real moment whose wall time matches
    both are fixed                   once for each matching wall time: one that
                                     the clocks skip runs when the gap ends,
                                     one that comes twice the first time only

That is what Debian's cron does, and what people mean by "daily at half past two".

Pure: no clock, no I/O, no randomness.
"""

import re
from bisect import bisect_left
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

EXPRESSION_CHARACTERS_MAX = 200

_WEEKDAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_WEEKDAY_NAMES = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")


def ticks_after(expression: str, zone: ZoneInfo, moment: datetime) -> Iterator[datetime]:
    """All ticks after `moment`, an aware datetime, in order and in UTC."""
    local = moment.astimezone(zone)
    wall_now = local.replace(tzinfo=None)
    fixed = not any(field.startswith("*") for field in expression.split()[-5:-3])
    # Wall times that pass for the first time now may come again, the earlier ones too.
    first, second = _readings(wall_now, zone)
    rewind = second - first if second > first and local.fold == 0 else timedelta(0)
    last = moment.astimezone(UTC)
    repeats: deque[datetime] = deque()  # second passes, until their place in the order has come
    for wall in CronSim(expression, wall_now - rewind):
        first, second = _readings(wall, zone)
        if first > second:
            if not fixed:
                continue
            first = _end_of_gap(second, first, zone)
        ticks = [first]
        while repeats and repeats[0] < first:
            ticks.insert(-1, repeats.popleft())
        for tick in ticks:
            # Several wall times of one gap end in the same moment, which is one tick.
            if tick > last:
                yield tick
                last = tick
        if second > first and not fixed:
            repeats.append(second)


def why_impossible(expression: str) -> str | None:
    """Why the expression is not one, or can never be met; None if it is fine."""
    if len(expression) > EXPRESSION_CHARACTERS_MAX:
        return f"longer than {EXPRESSION_CHARACTERS_MAX} characters"
    try:
        # Any start does: cronsim looks 50 years ahead, and calendars repeat within 40.
        met = next(CronSim(expression, datetime(2000, 1, 1)), None)  # noqa: DTZ001 - a wall time
    except CronSimError as error:
        return str(error).lower()
    return None if met else "no date ever matches"


def in_words(expression: str) -> str | None:
    """Such as "at 09:00 on weekdays", for the common forms; None for the others."""
    fields = expression.upper().split()
    if len(fields) != 5 or fields[3] != "*":
        return None
    minute, hours, day = fields[0], fields[1].split(","), _days_in_words(fields[2], fields[4])
    if hours == ["*"] and day == "":
        return _minutes_in_words(minute)
    if day is None or not minute.isdecimal() or not all(hour.isdecimal() for hour in hours):
        return None
    times = [f"{int(hour):02}:{int(minute):02}" for hour in hours]
    listed = " and ".join([", ".join(times[:-1]), times[-1]] if times[1:] else times)
    return f"at {listed}{day}"


def _minutes_in_words(minute: str) -> str | None:
    if minute == "*":
        return "every minute"
    step = re.fullmatch(r"\*/([1-9]\d?)", minute)
    # */7 is not "every 7 minutes": the step across the full hour is another.
    if step and 60 % int(step[1]) == 0:
        return "every minute" if step[1] == "1" else f"every {step[1]} minutes"
    return f"at minute {int(minute)} of every hour" if minute.isdecimal() else None


def _days_in_words(day: str, weekday: str) -> str | None:
    if weekday == "*" and day == "*":
        return ""
    if weekday == "*" and day.isdecimal():
        return f" on day {int(day)} of the month"
    if day != "*":
        return None
    if weekday in ("1-5", "MON-FRI"):
        return " on weekdays"
    if weekday in _WEEKDAY_NAMES:
        return f" on {_WEEKDAYS[_WEEKDAY_NAMES.index(weekday)]}"
    return f" on {_WEEKDAYS[int(weekday)]}" if weekday.isdecimal() else None


def _readings(wall: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The wall time read with the offset before a change of the clocks and with the one after it.

    Equal where there is no change, in order where the time comes twice, and the
    wrong way round where the clocks skip it (PEP 495).
    """
    before, after = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    return before, after


def _end_of_gap(early: datetime, late: datetime, zone: ZoneInfo) -> datetime:
    """When, between the two readings of a skipped wall time, the clocks are put forward."""
    new_offset = late.astimezone(zone).utcoffset()

    def is_changed(seconds: int) -> bool:
        return (early + timedelta(seconds=seconds)).astimezone(zone).utcoffset() == new_offset

    candidates = range(int((late - early).total_seconds()))
    return early + timedelta(seconds=bisect_left(candidates, True, key=is_changed))
