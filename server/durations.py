"""Durations as people write them ("1h30m") and as they read them ("1h 30m").

Used by the settings and by schedules, so that both accept the same forms and
complain in the same words.

Pure: no clock, no I/O, no randomness.
"""

import math
import re

DURATION_SECONDS_MAX = 100 * 365.25 * 86_400
"""A century. Anything longer is a slip of the pen, and would overflow dates further on."""

_TEXT_CHARACTERS_MAX = 64
_UNIT_MILLISECONDS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
# Each unit at most once and the large before the small: "30m1h" is more likely a mistake than a wish.
_FORM = re.compile(
    r"\s*".join(rf"(?:(?P<{unit}>\d+(?:\.\d+)?){unit})?" for unit in _UNIT_MILLISECONDS), re.ASCII
)
_PLAIN_NUMBER = re.compile(r"\d+(?:\.\d+)?", re.ASCII)


def parse_duration(value: object, *, minimum: float = 0.001) -> float:
    """Seconds, from a number of seconds or from text such as "5m", "1h30m" or "250ms".

    Text without a unit is seconds as well, since environment variables have no
    numbers. `minimum` is in seconds; 0 allows "0" and "0s". Raises ValueError,
    whose text names the value and says what was expected, for anything else,
    a bool and an infinity included.
    """
    seconds = _seconds(value)
    if seconds is None or not minimum <= seconds <= DURATION_SECONDS_MAX:
        raise ValueError(
            f"{_shortened(value)} is not a duration here: expected a number of seconds, or text such as "
            f"'5m', '90s', '1h30m', '250ms' or '2d', from {format_duration(minimum)} "
            f"to {format_duration(DURATION_SECONDS_MAX)}"
        )
    return seconds


def format_duration(seconds: float) -> str:
    """Such as "2d", "1h 30m", "1m 30s" or "250ms": whole milliseconds, largest unit first.

    What it writes, parse_duration() reads back, unless it is negative.
    """
    if not math.isfinite(seconds):
        raise ValueError(f"{seconds} seconds can't be written as a duration: expected a finite number")
    milliseconds = round(abs(seconds) * 1000)
    sign = "-" if seconds < 0 and milliseconds else ""
    parts = []
    for unit, size in _UNIT_MILLISECONDS.items():
        amount, milliseconds = divmod(milliseconds, size)
        if amount:
            parts.append(f"{amount}{unit}")
    return sign + (" ".join(parts) or "0s")


def _seconds(value: object) -> float | None:
    # YAML's yes and no arrive as bool, which Python counts among the numbers.
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        # An int too large for a float must end as "not a duration", not as OverflowError.
        return float(value) if abs(value) <= DURATION_SECONDS_MAX else None
    if not isinstance(value, str) or len(value) > _TEXT_CHARACTERS_MAX:
        return None
    text = value.strip()
    if _PLAIN_NUMBER.fullmatch(text):
        return float(text)
    matched = _FORM.fullmatch(text)
    if not text or matched is None:
        return None
    # Summed in milliseconds and divided once: "1.1s" is then the float 1.1, and not 1.1000000000000001.
    amounts = matched.groupdict(default="0")
    return math.fsum(float(amounts[unit]) * size for unit, size in _UNIT_MILLISECONDS.items()) / 1000


def _shortened(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 2 * _TEXT_CHARACTERS_MAX else shown[: 2 * _TEXT_CHARACTERS_MAX] + "…"
