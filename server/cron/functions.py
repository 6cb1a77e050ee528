"""From the name of a job's function, as the configuration has it, to the function.

Imported by every job's process, so it imports next to nothing itself.
"""

import importlib
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


class PlainFunctionError(TypeError):
    """A function that is to run in the node's event loop is no coroutine."""


def find_modules(home: str) -> None:
    """A job's own module may lie beside config.yaml, or in the folder where the service is started.

    Both are looked through last: a file of the same name there must not take the place of
    a library's module, or of ours, for every job of the installation.
    """
    for folder in (home, str(Path.cwd())):
        if folder not in sys.path:
            sys.path.append(folder)


def resolve(path: str) -> Callable[..., Any]:
    """The function at "package.module:name"; ImportError or AttributeError say why not."""
    module, _, name = path.partition(":")
    function = getattr(importlib.import_module(module), name)
    if not callable(function):
        raise TypeError(f"{path} is no function")
    return function  # type: ignore[no-any-return]


def resolve_coroutine(path: str) -> Callable[..., Any]:
    """As resolve(); PlainFunctionError for a function that would hold up the loop from end to end."""
    function = resolve(path)
    if not inspect.iscoroutinefunction(function):
        raise PlainFunctionError(
            f"isolation: loop needs a coroutine, and {path} is a plain function: "
            f"write `async def`, or say isolation: process"
        )
    return function
