"""A migration that was released is never edited: who has run it would lack what was changed.

What changes later comes by a migration of its own. When one is released, its digest is
added here: `python tests/unit/test_released_migrations.py` prints them all.
"""

from hashlib import blake2b
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "alembic"
RELEASED = {
    "0001": "48f7fc2642f679e397f9cf9a81a69c83",
    "0002": "119114f72fa68cec908b8b0db62d7f5d",
    "0003": "f32d7749d732f5e625c9bcf22196b9ea",
    "0004": "16c1b3d26ebd144d99c558016b7b85a5",
    "0005": "ff871e4b5e7183a8cac5ab7bd65cd133",
    "0006": "62ebc9fab7aca2a78d76d04be38204f7",
    "0007": "4585cc74d6e410239390b76432886c57",
    "0008": "30be967477669ea0a71bd06143e1653d",
    "0009": "aa11ba507c9e956338d1ac994b8103ec",
    "0010": "24c5a2e8cd55ebc10e2474169c024d48",
    "0011": "de45b866ae0e7f9fdd06942e771ad1a7",
}


def digest(number: str) -> str:
    """Of all files of a migration, with their names."""
    found = blake2b(digest_size=16)
    for path in sorted([*FOLDER.glob(f"versions/{number}_*.py"), *FOLDER.glob(f"sql/{number}_*.sql")]):
        found.update(f"{path.name}\n".encode() + path.read_bytes())
    return found.hexdigest()


@pytest.mark.parametrize("number", RELEASED)
def test_a_released_migration_is_as_it_was_released(number):
    assert digest(number) == RELEASED[number], (
        f"migration {number} was edited; bring the change by another one"
    )


if __name__ == "__main__":
    for path in sorted(FOLDER.glob("versions/[0-9]*.py")):
        number = path.name.partition("_")[0]
        print(number, digest(number))
