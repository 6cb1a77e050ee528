"""The command line: `ringfence …`, or `python -m server …`.

Whatever the product raises on purpose ends with its message on standard error
and no traceback: exit code 2 for a configuration that can't be used, 1 for the
rest. A defect keeps its traceback.
"""

import sys
from collections.abc import Callable

from server.errors import ConfigurationError, RingfenceError

EXIT_FAILED = 1
EXIT_CONFIGURATION = 2
EXIT_INTERRUPTED = 130


def _app() -> Callable[[], None]:
    """All commands. Raises RingfenceError where what they need is not installed."""
    try:
        from server.cli.commands import app  # noqa: PLC0415 within reach of the clauses of main()
    except ModuleNotFoundError as error:
        if (error.name or "server").partition(".")[0] == "server":
            raise
        raise RingfenceError(
            f"{error.name} is not installed for {sys.executable}: call `make install` in the checkout, "
            f"and then .venv/bin/ringfence"
        ) from None
    return app


def main() -> None:
    """The entry point of the console script."""
    try:
        _app()()
    except RingfenceError as error:
        print(f"ringfence: {error}", file=sys.stderr)
        sys.exit(EXIT_CONFIGURATION if isinstance(error, ConfigurationError) else EXIT_FAILED)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
