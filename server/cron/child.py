"""The process of one job: hears what to do, does it, and tells what came of it.

Started by the guardian, with the channel to the node as descriptor 3 and its
output going to the node. Ends with 0 once the outcome is told; any other ending
is itself the outcome.
"""

import asyncio
import importlib
import inspect
import json
import os
import socket
import sys
import traceback
from collections.abc import Callable
from typing import Any

from server.cluster.guardian import CHANNEL_FD
from server.cron.context import AsyncContext, Channel, Context, JobCancelled, RunSpec, storable

RESULT_BYTES_MAX = 65_536
ERROR_CHARACTERS_MAX = 16_000


def resolve(path: str) -> Callable[..., Any]:
    """The function at "package.module:name"; ImportError or AttributeError say why not."""
    module, _, name = path.partition(":")
    function = getattr(importlib.import_module(module), name)
    if not callable(function):
        raise TypeError(f"{path} is no function")
    return function  # type: ignore[no-any-return]


def perform(spec: RunSpec, channel: Channel) -> dict[str, Any]:
    """Runs the job; returns its outcome in the form that the node reads."""
    try:
        function = resolve(spec.function)
        if inspect.iscoroutinefunction(function):
            result = asyncio.run(_perform_async(function, spec, channel))
        else:
            channel.listen()
            result = function(Context(spec, channel), **spec.params)
        return {"outcome": "returned", "result": _checked(result)}
    except (JobCancelled, asyncio.CancelledError):
        return {"outcome": "cancelled"}
    except BaseException:
        # Also SystemExit and KeyboardInterrupt: whatever a job raises is told, not lost.
        return {"outcome": "raised", "error": _storable(traceback.format_exc())}


async def _perform_async(function: Callable[..., Any], spec: RunSpec, channel: Channel) -> Any:
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(function(AsyncContext(spec, channel), **spec.params))

    def cancel() -> None:
        loop.call_soon_threadsafe(task.cancel)

    channel.on_cancel = cancel
    channel.listen()
    return await task


def _checked(result: Any) -> Any:
    encoded = json.dumps(result, allow_nan=False, ensure_ascii=False).encode()
    if b"\\u0000" in encoded:
        raise ValueError("the result contains a NUL character, which PostgreSQL's JSON cannot hold")
    if len(encoded) > RESULT_BYTES_MAX:
        raise ValueError(f"the result has {len(encoded)} bytes as JSON; {RESULT_BYTES_MAX} are allowed")
    return result


def _storable(text: str) -> str:
    """The end of a text, without what PostgreSQL's text cannot hold."""
    return storable(text)[-ERROR_CHARACTERS_MAX:]


def main() -> None:
    os.set_inheritable(CHANNEL_FD, False)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]
    sys.path.insert(0, str(os.getcwd()))  # noqa: PTH109 a job's own module may lie beside config.yaml
    channel = Channel(socket.socket(fileno=CHANNEL_FD))
    outcome = perform(channel.receive_spec(), channel)
    sys.stdout.flush()
    sys.stderr.flush()
    channel.finish(outcome)
    # Threads that a job left running must not keep the process; nothing is buffered any more.
    os._exit(0)


if __name__ == "__main__":
    main()
