"""The forms in which durations are written, and what is refused."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.durations import DURATION_SECONDS_MAX, format_duration, parse_duration


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("5m", 300),
        ("90s", 90),
        ("1h30m", 5_400),
        ("1h 30m", 5_400),
        ("250ms", 0.25),
        ("2d", 172_800),
        ("1d2h3m4s5ms", 93_784.005),
        ("1.5h", 5_400),
        ("1.1s", 1.1),
        (" 5m ", 300),
        ("15", 15),
        ("0.5", 0.5),
        (15, 15),
        (0.5, 0.5),
    ],
)
def test_the_usual_forms_are_understood(written: object, seconds: float) -> None:
    assert parse_duration(written) == seconds


@pytest.mark.parametrize(
    "written",
    [
        "", " ", "m", "-5s", "5 minutes", "5M", "30m1h", "1h1h", "1,5s", "1e3", "٣s", "5x", "1h30", "0s",
        "9" * 65, 0, -1, math.nan, math.inf, 10**400, DURATION_SECONDS_MAX + 1, True, None, [], {"s": 1},
    ],
)  # fmt: skip
def test_anything_else_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match="expected a number of seconds, or text such as '5m'"):
        parse_duration(written)


def test_a_refusal_names_the_value_and_the_range() -> None:
    with pytest.raises(ValueError, match=r"^'soon' is not a duration here: .* from 1ms to 36525d$"):
        parse_duration("soon")


def test_a_refusal_shows_no_more_than_the_beginning_of_a_long_value() -> None:
    with pytest.raises(ValueError, match="…") as refusal:
        parse_duration("x" * 10_000)
    assert len(str(refusal.value)) < 400


def test_zero_is_allowed_only_where_the_minimum_says_so() -> None:
    assert (
        parse_duration("0", minimum=0) == parse_duration("0s", minimum=0) == parse_duration(0, minimum=0) == 0
    )
    with pytest.raises(ValueError, match="from 5s to"):
        parse_duration("4s", minimum=5)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (5_400, "1h 30m"),
        (172_800, "2d"),
        (93_784.005, "1d 2h 3m 4s 5ms"),
        (0.25, "250ms"),
        (59.9999, "1m"),
        (0, "0s"),
        (0.0001, "0s"),
        (-90, "-1m 30s"),
        (-0.0001, "0s"),
    ],
)
def test_people_read_the_largest_units_first(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize("seconds", [math.nan, math.inf, -math.inf])
def test_what_is_no_finite_number_is_not_written(seconds: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        format_duration(seconds)


@given(st.integers(0, int(DURATION_SECONDS_MAX) * 1000))
def test_what_is_written_is_read_back(milliseconds: int) -> None:
    assert parse_duration(format_duration(milliseconds / 1000), minimum=0) == milliseconds / 1000


@given(st.text() | st.floats() | st.integers() | st.booleans() | st.none())
def test_every_value_gives_seconds_in_the_range_or_a_value_error(value: object) -> None:
    try:
        seconds = parse_duration(value)
    except ValueError:
        return
    assert 0.001 <= seconds <= DURATION_SECONDS_MAX
