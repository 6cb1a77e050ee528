"""Sizes as people write them."""

import pytest

from server.sizes import parse_size


@pytest.mark.parametrize(
    ("written", "size"),
    [(1, 1), ("7", 7), ("7B", 7), ("1KiB", 1024), ("1.5 MiB", 1_572_864), (" 2GB ", 2_000_000_000)],
)
def test_a_size_is_a_number_of_bytes_or_text_with_a_unit(written, size):
    assert parse_size(written) == size


@pytest.mark.parametrize(
    "written",
    [True, 0, -1, 1.5, None, "", "MiB", "12 apples", "1mb", "-1MiB", "9" * 30, "5000000GiB", "x" * 99],
)
def test_anything_else_is_refused_with_what_was_expected(written):
    with pytest.raises(ValueError, match="expected a number of bytes, or text such as '512MiB'"):
        parse_size(written)


def test_a_size_below_the_least_is_refused():
    with pytest.raises(ValueError, match="from 64 to"):
        parse_size(63, minimum=64)
