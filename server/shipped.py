"""Where the files that ship with the product are: in the repository, or in the wheel."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def shipped(name: str) -> Path:
    """The path of `alembic`, `config.yaml` or `supervisord.conf`.

    A wheel carries them in `server/_shipped` (see setup.py); a checkout has
    them at its top.
    """
    in_wheel = _PACKAGE / "_shipped" / name
    return in_wheel if in_wheel.exists() else _PACKAGE.parent / name
