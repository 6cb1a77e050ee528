"""Named SQL statements, kept in `.sql` files beside the part that uses them."""

from collections.abc import Mapping
from functools import cache
from importlib import resources
from types import MappingProxyType

_MARK = "-- name:"


@cache
def load(package: str, file: str) -> Mapping[str, str]:
    """The statements of `file` in `package`, by name.

    A statement starts at a line `-- name: its_name` and ends at the next such
    line; what stands above the first is a heading. Raises ValueError for a name
    given twice.
    """
    found: dict[str, str] = {}
    text = resources.files(package).joinpath(file).read_text(encoding="utf-8")
    for block in text.split(_MARK)[1:]:
        first_line, _, body = block.partition("\n")
        name = first_line.strip()
        if name in found:
            raise ValueError(f"{package}/{file}: statement {name} is given twice")
        found[name] = (
            "\n".join(line for line in body.splitlines() if not line.startswith("--")).strip().rstrip(";")
        )
    return MappingProxyType(found)
