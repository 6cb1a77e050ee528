"""The command line: `ringfence …`, or `python -m server …`.

Whatever the product raises on purpose ends with its message on standard error
and no traceback: exit code 2 for a configuration that can't be used, 1 for the
rest. A defect keeps its traceback.
"""

import sys

from server.errors import ConfigurationError, RingfenceError

EXIT_FAILED = 1
EXIT_CONFIGURATION = 2
EXIT_INTERRUPTED = 130


def main() -> None:
    """The entry point of the console script."""
    try:
        from server.cli.commands import app  # noqa: PLC0415 within reach of the last clause

        app()
    except RingfenceError as error:
        print(f"ringfence: {error}", file=sys.stderr)
        sys.exit(EXIT_CONFIGURATION if isinstance(error, ConfigurationError) else EXIT_FAILED)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
