"""Sizes of memory as people write them ("512MiB").

Pure: no clock, no I/O, no randomness.
"""

import re

SIZE_BYTES_MAX = 1 << 50
_TEXT_CHARACTERS_MAX = 64
_UNIT_BYTES = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_FORM = re.compile(rf"(\d{{1,20}}(?:\.\d{{1,9}})?)\s*({'|'.join(_UNIT_BYTES)})?", re.ASCII)


def parse_size(value: object, *, minimum: int = 1) -> int:
    """Bytes, from a number of bytes or from text such as "512MiB" or "2GB".

    Raises ValueError, whose text names the value and says what was expected, for
    anything else, a bool included.
    """
    size = _bytes(value)
    if size is None or not minimum <= size <= SIZE_BYTES_MAX:
        raise ValueError(
            f"{value!r:.80} is not a size here: expected a number of bytes, or text such as "
            f"'512MiB' or '2GB', from {minimum} to {SIZE_BYTES_MAX} bytes"
        )
    return size


def _bytes(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if not isinstance(value, str) or len(value) > _TEXT_CHARACTERS_MAX:
        return None
    found = _FORM.fullmatch(value.strip())
    return None if found is None else round(float(found[1]) * _UNIT_BYTES[found[2] or "B"])
